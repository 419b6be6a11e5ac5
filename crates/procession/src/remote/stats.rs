//! Who is there, and who waits for what: for people, and for tests. It looks through all keys, page by page.

use std::collections::HashMap;
use std::time::Duration;

use redis::{Connection, RedisError};

use super::client::{refused, told};
use super::object::decode_name;
use super::{RemoteError, Server};

/// What stands on a server under one prefix.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// The server's kind and version, as it says.
    pub server: String,
    /// Bytes of memory that the server uses, for whatever it holds.
    pub used_bytes: u64,
    /// How many objects there are, with a name and without.
    pub objects: u64,
    /// The clients that live, as far as the server knows.
    pub clients: Vec<ClientStats>,
}

/// A client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientStats {
    /// What the server knows it by.
    pub id: String,
    /// Its process.
    pub pid: u32,
    /// The machine of that process.
    pub host: String,
    /// When its lease ends, if it is not renewed.
    pub lease_left: Duration,
    /// What its threads wait for, each as the object and the part of it at which they wait.
    pub waits: Vec<(String, String)>,
}

impl Server {
    /// Who uses the server under this prefix, and who waits for what. It costs a look at all keys.
    pub fn stats(&self) -> Result<Stats, RemoteError> {
        let address = self.address();
        let failed = |error: RedisError| {
            if error.is_io_error() {
                let (address, waited) = (address.to_string(), address.timeout());
                RemoteError::Unreachable { address, waited, why: told(&error) }
            } else {
                refused(address, "looking at what is there", &error)
            }
        };
        let mut connection = address.connect(address.timeout()).map_err(failed)?;
        look(&mut connection, address.prefix()).map_err(failed)
    }
}

fn look(on: &mut Connection, prefix: &str) -> Result<Stats, RedisError> {
    let mut stats = Stats::default();
    let info: String = redis::cmd("INFO").query(on)?;
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("");
    let valkey = field("valkey_version:");
    stats.server = if valkey.is_empty() {
        format!("redis {}", field("redis_version:"))
    } else {
        format!("valkey {valkey}")
    };
    stats.used_bytes = field("used_memory:").parse().unwrap_or(0);
    let mut clients: HashMap<String, ClientStats> = HashMap::new();
    let mut lines = Vec::new();
    for key in keys(on, prefix)? {
        let Some(rest) = key.strip_prefix(prefix) else { continue };
        if let Some(id) = rest.strip_prefix(":client:") {
            if let Some(client) = client(on, &key, id)? {
                clients.insert(id.to_string(), client);
            }
        } else if let Some((object, part)) =
            rest[1..].split_once(':').and_then(|(_, r)| r.split_once(':'))
        {
            // Those who wait stand in parts that are called after them: getters, putters, waiters.
            if part.ends_with("ers") {
                lines.push((key.clone(), decode_name(object), part.to_string()));
            }
        } else {
            stats.objects += u64::from(rest.starts_with(":n:") || rest.starts_with(":a:"));
        }
    }
    for (key, object, part) in lines {
        let kind: String = redis::cmd("TYPE").arg(&key).query(on)?;
        if kind != "zset" {
            continue;
        }
        let members: Vec<String> = redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).query(on)?;
        for member in members {
            let id = member.split(':').next().unwrap_or("");
            if let Some(client) = clients.get_mut(id) {
                client.waits.push((object.clone(), part.clone()));
            }
        }
    }
    stats.clients = clients.into_values().collect();
    stats.clients.sort_by(|a, b| (&a.host, a.pid, &a.id).cmp(&(&b.host, b.pid, &b.id)));
    Ok(stats)
}

fn client(on: &mut Connection, key: &str, id: &str) -> Result<Option<ClientStats>, RedisError> {
    let (found, left): ((Option<u32>, Option<String>), i64) = redis::pipe()
        .cmd("HMGET")
        .arg(key)
        .arg("pid")
        .arg("host")
        .cmd("PTTL")
        .arg(key)
        .query(on)?;
    let (Some(pid), Ok(left)) = (found.0, u64::try_from(left)) else { return Ok(None) };
    let host = found.1.unwrap_or_default();
    let lease_left = Duration::from_millis(left);
    Ok(Some(ClientStats { id: id.to_string(), pid, host, lease_left, waits: Vec::new() }))
}

fn keys(on: &mut Connection, prefix: &str) -> Result<Vec<String>, RedisError> {
    let escaped: String = prefix
        .chars()
        .flat_map(|c| if "*?[]\\^-".contains(c) { vec!['\\', c] } else { vec![c] })
        .collect();
    let (mut cursor, mut found) = (0u64, Vec::new());
    loop {
        let (next, page): (u64, Vec<Vec<u8>>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(format!("{escaped}:*"))
            .arg("COUNT")
            .arg(1000)
            .query(on)?;
        found.extend(page.into_iter().filter_map(|key| String::from_utf8(key).ok()));
        cursor = next;
        if cursor == 0 {
            found.sort_unstable();
            found.dedup();
            return Ok(found);
        }
    }
}
