//! A fake of huggingface.co on loopback: a repository, with its weights on another host.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::body::Bytes;
use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::response::Builder;
use axum::response::Response;
use http_body_util::BodyExt;
use http_body_util::Full;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;
use tokio::sync::oneshot;

/// The first commit of every branch.
pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The commit that a push creates.
pub(super) const NEXT_COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// An address that nothing listens on.
pub(super) const NOWHERE: &str = "http://127.0.0.1:9";

/// Serves `org/tiny` until dropped.
pub(super) struct FakeHub {
    pub(super) endpoint: String,
    shared: Arc<Mutex<Shared>>,
    _stop: oneshot::Sender<()>,
}

/// A received request.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) authorization: Option<String>,
}

type Files = BTreeMap<String, Vec<u8>>;

struct Shared {
    cdn: String,
    branches: BTreeMap<&'static str, &'static str>, // branch -> commit
    commits: BTreeMap<&'static str, Files>,
    cdn_status: StatusCode,
    gate: Option<&'static str>,
    is_xet: bool,
    fault: Fault,
    asked: Vec<Asked>,
}

/// A fault in the download of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// Closes the connection halfway through the weights.
    Truncates,
    /// Sends nothing after the first half of the weights, and keeps the connection open.
    Stalls,
    /// Sends the first half as if it were complete, despite the size that the hub has reported.
    Lies,
    /// Sends the right number of bytes, with one of them changed.
    Corrupts,
    /// Sends `config.json`, which comes from the hub itself, with one byte changed.
    CorruptsConfig,
}

impl FakeHub {
    /// Serves the files of a folder, and some that no client needs.
    pub(super) fn start(folder: &Path) -> Self {
        let (hub, cdn) = (listen(), listen());
        let endpoint = format!("http://{}", hub.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Shared {
            cdn: format!("http://{}", cdn.local_addr().unwrap()),
            branches: ["main", "v1", "refs%2Fpr%2F1"].map(|branch| (branch, COMMIT)).into(),
            commits: [(COMMIT, files(folder))].into(),
            cdn_status: StatusCode::OK,
            gate: None,
            is_xet: false,
            fault: Fault::None,
            asked: Vec::new(),
        }));
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || serve(hub, cdn, &serving, stopped));
        Self { endpoint, shared, _stop: stop }
    }

    /// Moves `main` to another commit with the files of a folder.
    pub(super) fn push(&self, folder: &Path) {
        let mut shared = self.shared.lock().unwrap();
        shared.commits.insert(NEXT_COMMIT, files(folder));
        shared.branches.insert("main", NEXT_COMMIT);
    }

    /// Makes the host of the weights respond with an error page, or with the weights again.
    pub(super) fn set_cdn_status(&self, status: StatusCode) {
        self.shared.lock().unwrap().cdn_status = status;
    }

    /// Denies everybody access to the repository, with an error code, or with an empty one as a
    /// proxy would.
    pub(super) fn gate(&self, code: &'static str) {
        self.shared.lock().unwrap().gate = Some(code);
    }

    /// Moves the weights to an address that nothing listens on.
    pub(super) fn lose_cdn(&self) {
        self.shared.lock().unwrap().cdn = NOWHERE.into();
    }

    /// Moves the weights to a Xet store on the same host.
    pub(super) fn use_xet(&self) {
        self.shared.lock().unwrap().is_xet = true;
    }

    /// Makes downloads fail in this way, or succeed again.
    pub(super) fn set_fault(&self, fault: Fault) {
        self.shared.lock().unwrap().fault = fault;
    }

    /// Returns the host and port of the weights.
    pub(super) fn cdn_host(&self) -> String {
        self.shared.lock().unwrap().cdn.replace("http://", "")
    }

    /// Returns the requests received so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.shared.lock().unwrap().asked.clone()
    }

    /// Returns the names of the downloaded files, sorted, one entry per download.
    pub(super) fn downloads(&self) -> Vec<String> {
        let gets = self.asked().into_iter().filter(|asked| asked.method == Method::GET);
        let names = gets.filter_map(|asked| {
            let (_, name) = asked.path.split_once("/resolve/")?.1.split_once('/')?;
            Some(name.to_owned())
        });
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        names
    }
}

fn listen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

fn files(folder: &Path) -> Files {
    let mut files = Files::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        files.insert(name, std::fs::read(entry.path()).unwrap());
    }
    for name in ["pytorch_model.bin", "training_args.bin", "onnx/model.onnx"] {
        files.insert(name.into(), b"not needed".to_vec());
    }
    files
}

fn serve(
    hub: TcpListener,
    cdn: TcpListener,
    shared: &Arc<Mutex<Shared>>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let router = |answer: fn(&Shared, &Request) -> Response| {
        let shared = Arc::clone(shared);
        Router::new().fallback(move |request: Request| async move {
            let mut shared = shared.lock().unwrap();
            shared.asked.push(Asked {
                method: request.method().clone(),
                path: request.uri().path().to_owned(),
                authorization: header(&request, "authorization"),
            });
            answer(&shared, &request)
        })
    };
    runtime.block_on(async {
        let [hub, cdn] = [hub, cdn].map(|it| tokio::net::TcpListener::from_std(it).unwrap());
        tokio::select! {
            result = axum::serve(hub, router(Shared::hub)).into_future() => result.unwrap(),
            result = axum::serve(cdn, router(Shared::cdn)).into_future() => result.unwrap(),
            _ = stopped => {}
        }
    });
}

impl Shared {
    fn hub(&self, request: &Request) -> Response {
        if request.uri().path().starts_with("/api/models/org/tiny/xet-read-token/") {
            let token =
                json!({"casUrl": self.cdn, "exp": 4_000_000_000_u64, "accessToken": "xet_token"});
            return Response::builder().body(token.to_string().into()).unwrap();
        }
        let Some(rest) = request.uri().path().strip_prefix("/org/tiny/resolve/") else {
            // Without a token, a missing repository looks the same as a private one.
            let status = match header(request, "authorization") {
                Some(_) => StatusCode::NOT_FOUND,
                None => StatusCode::UNAUTHORIZED,
            };
            return empty(
                Response::builder().status(status).header("x-error-code", "RepoNotFound"),
            );
        };
        if let Some(code) = self.gate {
            let status = match header(request, "authorization") {
                Some(_) => StatusCode::FORBIDDEN,
                None => StatusCode::UNAUTHORIZED,
            };
            let response = Response::builder().status(status);
            return empty(match code {
                "" => response,
                code => response.header("x-error-code", code),
            });
        }
        let (revision, name) = rest.split_once('/').unwrap();
        let commit = self.branches.get(revision).copied().unwrap_or(revision);
        let missing = Response::builder().status(StatusCode::NOT_FOUND);
        let Some(files) = self.commits.get(commit) else {
            return empty(missing.header("x-error-code", "RevisionNotFound"));
        };
        let Some(bytes) = files.get(name) else {
            let missing = missing.header("x-error-code", "EntryNotFound");
            return empty(missing.header("x-repo-commit", commit));
        };
        self.file(name, bytes, Response::builder().header("x-repo-commit", commit), request)
    }

    /// Sends small files directly, and redirects to another host for large ones, as with git LFS.
    fn file(&self, name: &str, bytes: &[u8], response: Builder, request: &Request) -> Response {
        let etag = etag(bytes);
        if header(request, "if-none-match").as_ref() == Some(&etag) {
            return empty(response.status(StatusCode::NOT_MODIFIED));
        }
        if !name.ends_with(".safetensors") {
            let mut bytes = bytes.to_vec();
            if self.fault == Fault::CorruptsConfig && name == "config.json" {
                bytes[0] ^= 1;
            }
            return response.header("etag", etag).body(bytes.into()).unwrap();
        }
        let location = format!("{}/{}", self.cdn, etag.trim_matches('"'));
        let mut response = response.status(StatusCode::FOUND).header("location", location);
        if self.is_xet {
            response = response.header("x-xet-hash", "0123456789abcdef".repeat(4));
        }
        empty(response.header("x-linked-etag", etag).header("x-linked-size", bytes.len()))
    }

    /// Sends the bytes with the requested hash, without authorisation.
    fn cdn(&self, request: &Request) -> Response {
        if self.cdn_status != StatusCode::OK {
            let page = Response::builder().status(self.cdn_status);
            return page.body("<Error>AccessDenied</Error>".into()).unwrap();
        }
        let wanted = format!("\"{}\"", request.uri().path().trim_start_matches('/'));
        let mut all = self.commits.values().flat_map(BTreeMap::values);
        let bytes = all.find(|bytes| etag(bytes) == wanted).unwrap().clone();
        let half = bytes[..bytes.len() / 2].to_vec();
        let response = Response::builder().header("etag", wanted);
        let whole = bytes.len();
        match self.fault {
            Fault::None | Fault::CorruptsConfig => response.body(bytes.into()).unwrap(),
            Fault::Lies => response.body(half.into()).unwrap(),
            Fault::Corrupts => {
                let mut bytes = bytes;
                bytes[whole / 2] ^= 1;
                response.body(bytes.into()).unwrap()
            }
            Fault::Truncates => {
                response.header("content-length", whole).body(broken_off(half)).unwrap()
            }
            Fault::Stalls => response.header("content-length", whole).body(stalled(half)).unwrap(),
        }
    }
}

/// Creates a body that fails after these bytes.
fn broken_off(bytes: Vec<u8>) -> Body {
    let fault = async { Some(Err(axum::Error::new("broken off on purpose"))) };
    Body::new(part(bytes).map_err(axum::Error::new).with_trailers(fault))
}

/// Creates a body that never ends after these bytes.
fn stalled(bytes: Vec<u8>) -> Body {
    Body::new(part(bytes).with_trailers(std::future::pending()))
}

/// Creates a body of unknown length; the headers give the length.
fn part(bytes: Vec<u8>) -> impl HttpBody<Data = Bytes, Error = std::convert::Infallible> {
    Full::new(Bytes::from(bytes)).map_frame(|frame| frame)
}

fn header(request: &Request, name: &str) -> Option<String> {
    request.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

fn empty(response: Builder) -> Response {
    response.body(Body::empty()).unwrap()
}

fn etag(bytes: &[u8]) -> String {
    let digits: Vec<_> = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let digits = digits.concat();
    format!("\"{digits}\"")
}
