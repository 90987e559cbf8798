"""The categories as we call them and as other services do."""

CATEGORIES = [
    "illegal_activities",
    "csam",
    "ncii",
    "hate_and_discrimination",
    "violence_and_threats",
    "self_harm",
    "fraud_and_scams",
    "misinformation",
    "privacy",
    "professional_advice",
]
# Violated by the harmful text.
VIOLATED = "violence_and_threats"

OPENAI = [
    "harassment",
    "harassment/threatening",
    "sexual",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm/intent",
    "self-harm/instructions",
    "self-harm",
    "sexual/minors",
    "violence",
    "violence/graphic",
]
MISTRAL_2411 = [
    "sexual",
    "hate_and_discrimination",
    "violence_and_threats",
    "dangerous_and_criminal_content",
    "selfharm",
    "health",
    "financial",
    "law",
    "pii",
]
MISTRAL_2603 = [
    "sexual",
    "hate_and_discrimination",
    "violence_and_threats",
    "dangerous",
    "criminal",
    "selfharm",
    "health",
    "financial",
    "law",
    "pii",
    "jailbreaking",
]
# The names of models that ask for the names of their maker.
NAMES_OF_MODELS = {
    "omni-moderation-latest": OPENAI,
    "omni-moderation-2024-09-26": OPENAI,
    "text-moderation-latest": OPENAI,
    "text-moderation-stable": OPENAI,
    "mistral-moderation-2411": MISTRAL_2411,
    "mistral-moderation-2603": MISTRAL_2603,
    "mistral-moderation-latest": MISTRAL_2603,
    "moderato-small": CATEGORIES,
}
