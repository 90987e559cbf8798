// Moderates with OpenAI's client: a request comes in as JSON, the answer or the error goes out.
//
//     node moderate.mjs FOLDER-OF-CLIENTS BASE-URL

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, baseURL] = process.argv.slice(2);
const { OpenAI, APIError } = createRequire(`${folder}/`)("openai");

const client = new OpenAI({ baseURL, apiKey: "unused", maxRetries: 0, timeout: 60_000 });
const outcome = await client.moderations.create(JSON.parse(readFileSync(0, "utf8"))).then(
    (answer) => ({ answer }),
    (error) => {
        if (!(error instanceof APIError)) {
            throw error;
        }
        const { status, code, param, requestID } = error;
        return { error: { class: error.constructor.name, status, code, param, requestID } };
    },
);
process.stdout.write(JSON.stringify(outcome));
