//! Addresses to listen on, as they are typed.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum ListenAddress {
    /// `HOST:PORT`, or `:PORT` for all interfaces.
    Tcp { host: Option<String>, port: u16 },
    /// `unix:PATH` or `unix:PATH?mode=0660`.
    Unix { path: PathBuf, mode: Option<u32> },
    /// `systemd:` or `systemd:NAME`: a socket that the supervisor has opened.
    Systemd { name: Option<String> },
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("unix:") {
            return unix(rest);
        }
        match text.strip_prefix("systemd") {
            Some("" | ":") => Ok(Self::Systemd { name: None }),
            Some(rest) if rest.starts_with(':') => {
                Ok(Self::Systemd { name: Some(rest[1..].to_owned()) })
            }
            _ => tcp(text),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host: None, port } => write!(formatter, ":{port}"),
            Self::Tcp { host: Some(host), port } if host.contains(':') => {
                write!(formatter, "[{host}]:{port}")
            }
            Self::Tcp { host: Some(host), port } => write!(formatter, "{host}:{port}"),
            Self::Unix { path, mode: None } => write!(formatter, "unix:{}", path.display()),
            Self::Unix { path, mode: Some(mode) } => {
                write!(formatter, "unix:{}?mode={mode:04o}", path.display())
            }
            Self::Systemd { name } => {
                write!(formatter, "systemd:{}", name.as_deref().unwrap_or_default())
            }
        }
    }
}

fn tcp(text: &str) -> Result<ListenAddress, String> {
    const EXPECTED: &str = "expected HOST:PORT, :PORT, unix:PATH or systemd:NAME";
    let (host, port) = text.rsplit_once(':').ok_or(EXPECTED)?;
    let port = port.parse().map_err(|_| format!("{port:?} is not a port; {EXPECTED}"))?;
    let is_ipv6 = |text: &str| text.parse::<Ipv6Addr>().is_ok();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        // A zone may follow: fe80::1%eth0.
        Some(inner) if is_ipv6(inner.split('%').next().unwrap_or_default()) => {
            Some(inner.to_owned())
        }
        Some(inner) => return Err(format!("{inner:?} is not an IPv6 address")),
        None if host.is_empty() || host == "*" => None,
        None if is_ipv6(host) => {
            return Err(format!("write an IPv6 address in brackets: [{host}]:{port}"));
        }
        None if host.bytes().all(is_name) => Some(host.to_owned()),
        None => return Err(format!("{host:?} is not a host; {EXPECTED}")),
    };
    Ok(ListenAddress::Tcp { host, port })
}

fn unix(text: &str) -> Result<ListenAddress, String> {
    // The URL form: unix:///run/moderato.sock.
    let text = if text.starts_with("///") { &text[2..] } else { text };
    let (path, mode) = match text.split_once('?') {
        Some((path, setting)) => (path, Some(mode(setting)?)),
        None => (text, None),
    };
    if path.is_empty() || path.starts_with('@') {
        return Err("expected unix:PATH, or unix:PATH?mode=0660".into());
    }
    if path.len() > MAX_PATH {
        let n_bytes = path.len();
        return Err(format!(
            "the path has {n_bytes} bytes; that of a socket may have at most {MAX_PATH}"
        ));
    }
    Ok(ListenAddress::Unix { path: path.into(), mode })
}

fn mode(setting: &str) -> Result<u32, String> {
    let is_octal = |digits: &&str| digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let digits = setting.strip_prefix("mode=").filter(is_octal);
    let digits = digits.filter(|digits| (3..=4).contains(&digits.len()));
    let mode = digits.and_then(|digits| u32::from_str_radix(digits, 8).ok());
    let mode = mode.filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| format!("?{setting} is not a mode; expected one such as ?mode=0660"))
}

/// Maximum bytes of a path: `sun_path` of unix(7) and of the BSDs, less the terminating zero.
const MAX_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_other_servers_take_them() {
        for (text, written) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("localhost:0", "localhost:0"),
            ("my_host-1.example.org:80", "my_host-1.example.org:80"),
            ("[::1]:8080", "[::1]:8080"),
            ("[::]:8080", "[::]:8080"),
            ("[fe80::1%eth0]:8080", "[fe80::1%eth0]:8080"),
            (":8080", ":8080"),
            ("*:8080", ":8080"),
            ("unix:/run/moderato.sock", "unix:/run/moderato.sock"),
            ("unix:///run/moderato.sock", "unix:/run/moderato.sock"),
            ("unix:relative.sock", "unix:relative.sock"),
            ("unix:/run/a:b?mode=660", "unix:/run/a:b?mode=0660"),
            ("unix:/run/a?mode=0600", "unix:/run/a?mode=0600"),
            ("systemd", "systemd:"),
            ("systemd:", "systemd:"),
            ("systemd:http", "systemd:http"),
        ] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), written, "{text}");
            assert_eq!(written.parse::<ListenAddress>().unwrap(), address, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_is_expected() {
        let long = format!("unix:/{}", "a".repeat(MAX_PATH));
        for (text, message) in [
            ("here", "expected HOST:PORT"),
            ("8080", "expected HOST:PORT"),
            ("localhost", "expected HOST:PORT"),
            ("", "expected HOST:PORT"),
            ("localhost:", "\"\" is not a port"),
            ("localhost:http", "\"http\" is not a port"),
            ("localhost:65536", "\"65536\" is not a port"),
            ("::1:8080", "in brackets: [::1]:8080"),
            ("[localhost]:80", "\"localhost\" is not an IPv6 address"),
            ("http://localhost:80", "\"http://localhost\" is not a host"),
            ("a b:80", "\"a b\" is not a host"),
            ("systemdx:80:", "\"\" is not a port"),
            ("unix:", "expected unix:PATH"),
            ("unix:@name", "expected unix:PATH"),
            ("unix:/a?mode=888", "?mode=888 is not a mode"),
            ("unix:/a?mode=1777", "?mode=1777 is not a mode"),
            ("unix:/a?mode=+660", "?mode=+660 is not a mode"),
            ("unix:/a?owner=me", "?owner=me is not a mode"),
            (&long, "that of a socket may have at most"),
        ] {
            let refusal = text.parse::<ListenAddress>().unwrap_err();
            assert!(refusal.contains(message), "{text}: {refusal}");
        }
    }
}
