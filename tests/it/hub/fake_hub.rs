//! A hub on loopback: one repository with two branches, weights behind a redirect.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use axum::http::StatusCode;
use axum::response::Response;
use sha2::Digest;
use sha2::Sha256;
use tokio::sync::oneshot;

/// The commit that all branches point to.
pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Serves until dropped.
pub(super) struct FakeHub {
    pub(super) endpoint: String,
    shared: Arc<Shared>,
    _stop: oneshot::Sender<()>,
}

/// A request that came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) authorization: Option<String>,
}

struct Shared {
    endpoint: String,
    files: BTreeMap<String, Vec<u8>>,
    asked: Mutex<Vec<Asked>>,
}

impl FakeHub {
    /// Serves `org/tiny` with the files of a folder, and some that nobody needs.
    pub(super) fn start(folder: &Path) -> Self {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            files.insert(name, std::fs::read(entry.path()).unwrap());
        }
        for name in ["pytorch_model.bin", "training_args.bin", "onnx/model.onnx"] {
            files.insert(name.into(), b"not needed".to_vec());
        }
        let (stop, stopped) = oneshot::channel();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Mutex::default();
        let shared = Arc::new(Shared { endpoint: endpoint.clone(), files, asked });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || serve(listener, &serving, stopped));
        Self { endpoint, shared, _stop: stop }
    }

    /// What was asked for so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// The files that were downloaded, each as often as it was.
    pub(super) fn downloads(&self) -> Vec<String> {
        let gets = self.asked().into_iter().filter(|asked| asked.method == Method::GET);
        let names = gets.filter_map(|asked| {
            let (_, name) = asked.path.split_once("/resolve/")?.1.split_once('/')?;
            Some(name.to_owned())
        });
        names.collect()
    }
}

fn serve(listener: std::net::TcpListener, shared: &Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    listener.set_nonblocking(true).unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let shared = Arc::clone(shared);
        let router = Router::new().fallback(move |request: Request| {
            let shared = Arc::clone(&shared);
            async move { shared.answer(&request) }
        });
        tokio::select! {
            result = axum::serve(listener, router).into_future() => result.unwrap(),
            _ = stopped => {}
        }
    });
}

impl Shared {
    fn answer(&self, request: &Request) -> Response {
        let header = |name: &str| {
            request.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        let (path, authorization) = (request.uri().path().to_owned(), header("authorization"));
        let asked = Asked { method: request.method().clone(), path: path.clone(), authorization };
        self.asked.lock().unwrap().push(asked);
        if let Some(name) = path.strip_prefix("/cdn/") {
            let response = Response::builder().header("etag", format!("\"{}\"", self.etag(name)));
            return response.body(self.files[name].clone().into()).unwrap();
        }
        let Some(rest) = path.strip_prefix("/org/tiny/resolve/") else {
            return refuse("RepoNotFound");
        };
        let Some((_, name)) =
            rest.split_once('/').filter(|(revision, _)| ["main", "v1", COMMIT].contains(revision))
        else {
            return refuse("RevisionNotFound");
        };
        if !self.files.contains_key(name) {
            let mut response = refuse("EntryNotFound");
            response.headers_mut().insert("x-repo-commit", COMMIT.parse().unwrap());
            return response;
        }
        self.file(name, header("if-none-match").as_deref())
    }

    /// Small files are answered here; large ones are elsewhere, as with git LFS.
    fn file(&self, name: &str, known: Option<&str>) -> Response {
        let (bytes, etag) = (&self.files[name], self.etag(name));
        let response = Response::builder().header("x-repo-commit", COMMIT);
        if known == Some(&format!("\"{etag}\"")) {
            return response.status(StatusCode::NOT_MODIFIED).body(Body::empty()).unwrap();
        }
        if name.ends_with(".safetensors") {
            let response = response
                .status(StatusCode::FOUND)
                .header("location", format!("{}/cdn/{name}", self.endpoint))
                .header("x-linked-etag", format!("\"{etag}\""))
                .header("x-linked-size", bytes.len());
            return response.body(Body::empty()).unwrap();
        }
        response.header("etag", format!("\"{etag}\"")).body(bytes.clone().into()).unwrap()
    }

    fn etag(&self, name: &str) -> String {
        let digest = Sha256::digest(&self.files[name]);
        digest.iter().map(u8::to_string).collect()
    }
}

fn refuse(code: &str) -> Response {
    let response = Response::builder().status(StatusCode::NOT_FOUND).header("x-error-code", code);
    response.body(Body::empty()).unwrap()
}
