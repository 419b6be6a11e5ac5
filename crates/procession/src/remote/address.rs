//! Where a server is, and how it is to be used.

use std::fmt;
use std::time::Duration;

use redis::{ClientTlsConfig, Connection, TlsCertificates};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use url::Url;

use super::RemoteError;

const DEFAULT_PORT: u16 = 6379;
// What stands there is not repeated: behind an unescaped slash it can be a part of a password.
const NO_DATABASE: &str = "what stands behind the host is no number of a database";
const KNOWN: &str = "redis://, rediss://, valkey://, valkeys:// or unix://";
const LONGEST_CONNECT: Duration = Duration::from_secs(2);
const QUERY: &str = "prefix, lease, timeout, keep, db, ca, cert, key, user, password";

/// Where a Valkey or Redis server is, and how it is to be used.
///
/// `redis://[user:password@]host[:port][/db]?prefix=procession&lease=10&timeout=10&keep=3600`; `rediss://` with
/// TLS, and then `ca=`, `cert=` and `key=` may name PEM files; `unix:///path/of/socket?db=0&user=…&password=…`.
/// `valkey://` and `valkeys://` are the same as the first two.
///
/// - `prefix`: all keys begin with it.
/// - `lease`, seconds: for how long a client that was killed or cut off keeps its locks and messages.
/// - `timeout`, seconds: for how long an operation tries to reach the server.
/// - `keep`, seconds: how long an object without a name stays when nobody has it who lives.
///
/// # Examples
/// ```
/// let address = procession::remote::Address::parse("redis://user:secret@db.example:6380/2?prefix=jobs")?;
/// assert_eq!(address.to_string(), "redis://db.example:6380/2?prefix=jobs");
/// # Ok::<(), procession::remote::RemoteError>(())
/// ```
#[derive(Clone)]
pub struct Address {
    url: String,
    shown: String,
    prefix: String,
    lease: Duration,
    timeout: Duration,
    keep: Duration,
    client: redis::Client,
}

impl Address {
    /// Whether this looks like an address of a server, and not like a family's name.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        text.contains("://")
    }

    /// Reads a URL, and the certificates that it names.
    pub fn parse(text: &str) -> Result<Address, RemoteError> {
        let wrong =
            |why: String| RemoteError::Address(format!("this is no address of a server: {why}"));
        let url = Url::parse(text).map_err(|error| match error {
            url::ParseError::RelativeUrlWithoutBase => {
                wrong(format!("it does not begin with {KNOWN}"))
            }
            other => wrong(other.to_string()),
        })?;
        let (scheme, unix) = match url.scheme() {
            "redis" | "valkey" => ("redis", false),
            "rediss" | "valkeys" => ("rediss", false),
            "unix" | "redis+unix" | "valkey+unix" => ("unix", true),
            other => {
                return Err(wrong(format!("it begins with {other}://, and should with {KNOWN}")));
            }
        };
        let mut query = Query::default();
        for (name, value) in url.query_pairs() {
            query.take(&name, value.into_owned()).map_err(wrong)?;
        }
        let path_db = if unix { "" } else { url.path().trim_matches('/') };
        let db = match (path_db, query.db.as_deref()) {
            ("", None) => 0,
            (text, None) | ("", Some(text)) => {
                text.parse::<u32>().map_err(|_| wrong(NO_DATABASE.into()))?
            }
            _ => return Err(wrong("it names the database twice".into())),
        };
        let place = if unix {
            if url.path().is_empty() || url.path() == "/" {
                return Err(wrong("unix:// needs the path of a socket".into()));
            }
            url.path().to_string()
        } else {
            let host = url.host_str().filter(|host| !host.is_empty());
            let host = host.ok_or_else(|| wrong("there is no host in it".into()))?;
            if url.port() == Some(0) {
                return Err(wrong("nobody listens at port 0".into()));
            }
            format!("{host}:{}", url.port().unwrap_or(DEFAULT_PORT))
        };
        if unix && (!url.username().is_empty() || url.password().is_some()) {
            return Err(wrong("of unix:// user= and password= stand behind the path".into()));
        }
        if !unix && (query.user.is_some() || query.password.is_some()) {
            return Err(wrong(
                "user and password stand before the host: user:password@host".into(),
            ));
        }
        let mut plain = url.clone();
        plain.set_query(None);
        plain.set_fragment(None);
        let info = if unix {
            let mut params = url::form_urlencoded::Serializer::new(String::new());
            params.append_pair("db", &db.to_string());
            for (name, value) in [("user", &query.user), ("pass", &query.password)] {
                if let Some(value) = value {
                    params.append_pair(name, value);
                }
            }
            format!("unix://{}?{}", url.path(), params.finish())
        } else {
            plain.set_path(&format!("/{db}"));
            let rest = plain.as_str().split_once("://").map_or("", |(_, rest)| rest);
            format!("{scheme}://{rest}")
        };
        // What the library says could repeat the URL, and with it the password.
        let refuse = |_| wrong("the client library does not take it".into());
        let client = match query.certificates().map_err(wrong)? {
            Some(_) if scheme != "rediss" => {
                return Err(wrong("ca, cert and key are for rediss:// only".into()));
            }
            Some(files) => redis::Client::build_with_tls(info.as_str(), files).map_err(refuse)?,
            None => redis::Client::open(info.as_str()).map_err(refuse)?,
        };
        let prefix = query.prefix.clone().unwrap_or_else(|| "procession".into());
        if prefix.is_empty() || prefix.len() > 100 || prefix.contains(char::is_whitespace) {
            return Err(wrong("prefix has 1 to 100 characters and no blanks".into()));
        }
        let shown =
            format!("{scheme}://{place}{}{}?prefix={prefix}", if unix { "?db=" } else { "/" }, db);
        let shown = if unix { shown.replacen("?prefix", "&prefix", 1) } else { shown };
        Ok(Address {
            url: text.to_string(),
            shown,
            prefix,
            lease: seconds("lease", query.lease.as_deref(), 10.0, 0.2).map_err(wrong)?,
            timeout: seconds("timeout", query.timeout.as_deref(), 10.0, 0.01).map_err(wrong)?,
            keep: seconds("keep", query.keep.as_deref(), 3600.0, 1.0).map_err(wrong)?,
            client,
        })
    }

    /// What all keys begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// For how long a client that is not heard of keeps what it holds.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// For how long an operation tries to reach the server.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How long an object without a name stays when nobody has it who lives.
    #[must_use]
    pub fn keep(&self) -> Duration {
        self.keep
    }

    /// The URL as it was given, with the credentials. Never show it, never write it to a server.
    #[must_use]
    pub fn with_credentials(&self) -> &str {
        &self.url
    }

    pub(crate) fn connect(&self, limit: Duration) -> Result<Connection, redis::RedisError> {
        // No signal ends the making of a connection, so it is given up soon, and tried again.
        let connection = self.client.get_connection_with_timeout(limit.min(LONGEST_CONNECT))?;
        connection.set_read_timeout(Some(limit))?;
        connection.set_write_timeout(Some(limit))?;
        Ok(connection)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.shown).finish()
    }
}

#[derive(Default)]
struct Query {
    prefix: Option<String>,
    lease: Option<String>,
    timeout: Option<String>,
    keep: Option<String>,
    db: Option<String>,
    ca: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    user: Option<String>,
    password: Option<String>,
}

impl Query {
    fn take(&mut self, name: &str, value: String) -> Result<(), String> {
        let place = match name {
            "prefix" => &mut self.prefix,
            "lease" => &mut self.lease,
            "timeout" => &mut self.timeout,
            "keep" => &mut self.keep,
            "db" => &mut self.db,
            "ca" => &mut self.ca,
            "cert" => &mut self.cert,
            "key" => &mut self.key,
            "user" => &mut self.user,
            "password" => &mut self.password,
            // A part of a password, behind an unescaped question mark.
            other if other.contains('@') => {
                return Err("there is an @ behind a question mark: in a password it is %3F".into());
            }
            other => return Err(format!("{other:?} is not one of {QUERY}")),
        };
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(format!("{name} stands in it twice")),
        }
    }

    fn certificates(&self) -> Result<Option<TlsCertificates>, String> {
        let read = |path: &Option<String>| match path {
            None => Ok(None),
            Some(path) => std::fs::read(path)
                .map(Some)
                .map_err(|error| format!("{path} can't be read ({error})")),
        };
        let (ca, cert, key) = (read(&self.ca)?, read(&self.cert)?, read(&self.key)?);
        // Without one nobody would be trusted, and that would be told as a server that can't be reached.
        for (pem, path) in [(&ca, &self.ca), (&cert, &self.cert)] {
            if let (Some(pem), Some(path)) = (pem, path) {
                has_certificates(pem).map_err(|why| format!("in {path} {why}"))?;
            }
        }
        if let (Some(pem), Some(path)) = (&key, &self.key) {
            PrivateKeyDer::from_pem_slice(pem)
                .map_err(|_| format!("in {path} is no private key (PEM)"))?;
        }
        let client_tls = match (cert, key) {
            (Some(client_cert), Some(client_key)) => {
                Some(ClientTlsConfig { client_cert, client_key })
            }
            (None, None) => None,
            _ => return Err("cert and key belong together".into()),
        };
        let any = ca.is_some() || client_tls.is_some();
        Ok(any.then_some(TlsCertificates { client_tls, root_cert: ca }))
    }
}

fn has_certificates(pem: &[u8]) -> Result<(), &'static str> {
    let mut found = CertificateDer::pem_slice_iter(pem).peekable();
    if found.peek().is_none() {
        return Err("is no certificate (PEM)");
    }
    if found.any(|certificate| certificate.is_err()) {
        Err("a certificate is damaged")
    } else {
        Ok(())
    }
}

fn seconds(name: &str, text: Option<&str>, default: f64, least: f64) -> Result<Duration, String> {
    let Some(text) = text else { return Ok(Duration::from_secs_f64(default)) };
    let most = 365.0 * 86400.0;
    match text.parse::<f64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(Duration::from_secs_f64(number)),
        _ => Err(format!("{name}={text}: it is a number of seconds, {least} or more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_shows_credentials() {
        let texts = [
            "redis://me:geheim@localhost:1/2?lease=0.5",
            "rediss://me:geheim@localhost",
            "valkey://me:geheim@[::1]:7",
            "unix:///tmp/x.sock?db=3&user=me&password=geheim",
            "unix:///tmp/x.sock",
        ];
        for text in texts {
            let address = Address::parse(text).unwrap();
            assert!(!format!("{address} {address:?}").contains("geheim"), "{address:?}");
        }
        for text in [
            "redis://me:geheim@localhost/x",
            "redis://me:geheim@localhost?lese=1",
            "redis://me:12/geheim@localhost",
            "redis://me:12?geheim@localhost",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("http://localhost", "http://"),
            ("redis://localhost?lease=0", "lease=0"),
            ("redis://localhost?lese=1", "lese"),
            ("redis://localhost/1?db=2", "twice"),
            ("redis://localhost?ca=/no/such", "rediss"),
            ("unix://", "path"),
            ("redis://localhost:0", "port 0"),
            ("localhost:6379", "redis://"),
            ("localhost", "redis://"),
        ];
        for (text, part) in cases {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.contains(part) || error.contains("can't be read"), "{text}: {error}");
        }
    }

    #[test]
    fn files_that_hold_no_certificate_are_refused() {
        let folder = std::env::temp_dir().join(format!("procession-ca-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("pem");
        let said = |text: &str, query: &str| {
            std::fs::write(&file, text).unwrap();
            let query = query.replace("FILE", file.to_str().unwrap());
            Address::parse(&format!("rediss://localhost?{query}")).unwrap_err().to_string()
        };
        for text in
            ["", "no certificate", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
        {
            assert!(said(text, "ca=FILE").ends_with("pem is no certificate (PEM)"), "{text}");
        }
        let damaged = "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n";
        assert!(said(damaged, "ca=FILE").ends_with("a certificate is damaged"));
        let whole = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(said(whole, "cert=FILE&key=FILE").ends_with("pem is no private key (PEM)"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
