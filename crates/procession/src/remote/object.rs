//! An object on a server: some keys under one name, and scripts that change them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call::Call;
use super::client::{Client, Kept, locked};
use super::script::Script;
use super::server::Server;
use super::{Patience, RemoteError, stop};
use crate::sys::fork::{forks_begun, generation};
use crate::sys::process::random_id;
use crate::threads::Parked;

static OPEN: Script = Script::new("opening an object", include_str!("lua/object_open.lua"));
static LEAVE: Script = Script::new("giving up a wait", include_str!("lua/object_leave.lua"));
static REMOVE: Script = Script::new("removing an object", include_str!("lua/object_remove.lua"));
static NAMES: Script = Script::new("listing the names", include_str!("lua/family_names.lua"));

/// What an object is, and the parts that it has beside its hash, in the order in which scripts see them: the hash
/// is `K[1]`.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) parts: &'static [&'static str],
}

/// The field of an object's hash that says for how long it stays when nobody has it, in ms.
const KEEP: &str = "keep";

/// What stands in an object's hash.
pub(crate) type Params = HashMap<String, Vec<u8>>;

/// A handle of an object.
#[derive(Debug)]
pub(crate) struct Object {
    server: Server,
    kind: &'static Kind,
    keys: Vec<String>,
    named: bool,
    /// For how long it stays when nobody has it, in ms: as its maker said, or as this client does if that is longer.
    /// 0: for ever.
    ttl: u64,
    /// Which process's client keeps it.
    born: u32,
}

impl Object {
    /// The object of that name, which is made with these parameters if there is none. What it really has is returned.
    pub(crate) fn named(
        server: &Server,
        kind: &'static Kind,
        name: &str,
        params: &[(&str, Vec<u8>)],
    ) -> Result<(Object, Params), RemoteError> {
        let encoded = encode_name(name);
        let base = format!("{}:n:{encoded}", server.address().prefix());
        let object = Object::of(server, kind, &base, true);
        let params = object.open(true, &encoded, name, params)?;
        Ok((object, params))
    }

    /// A new one without a name, which is there as long as somebody who lives has it.
    pub(crate) fn anonymous(
        server: &Server,
        kind: &'static Kind,
        params: &[(&str, Vec<u8>)],
    ) -> Result<(Object, Params), RemoteError> {
        let id: String = random_id()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
        let base = format!("{}:a:{id}", server.address().prefix());
        let object = Object::of(server, kind, &base, false);
        let kept = (KEEP, object.ttl.to_string().into_bytes());
        let params = [params, &[kept]].concat();
        let params = object.open(true, "", "", &params)?;
        object.keep(false)?;
        Ok((object, params))
    }

    /// The one with that key, of a handle that travelled.
    pub(crate) fn attach(
        server: &Server,
        kind: &'static Kind,
        key: &str,
    ) -> Result<(Object, Params), RemoteError> {
        let prefix = server.address().prefix();
        let rest = key.strip_prefix(prefix).unwrap_or("");
        let named = rest.starts_with(":n:");
        if !named && !rest.starts_with(":a:") {
            return Err(RemoteError::Gone(key.to_string()));
        }
        let mut object = Object::of(server, kind, key, named);
        let own = std::mem::take(&mut object.ttl); // which may be shorter than its maker's
        let params = object.open(false, "", key, &[])?;
        let kept = params.get(KEEP).and_then(|kept| std::str::from_utf8(kept).ok()?.parse().ok());
        if !named {
            object.ttl = own.max(kept.unwrap_or(0));
        }
        object.keep(true)?;
        Ok((object, params))
    }

    fn of(server: &Server, kind: &'static Kind, base: &str, named: bool) -> Object {
        let parts = kind.parts.iter().map(|part| format!("{base}:{part}"));
        let keys = std::iter::once(base.to_string()).chain(parts).collect();
        let ttl = if named { 0 } else { server.address().keep().as_millis() as u64 };
        Object { server: server.clone(), kind, keys, named, ttl, born: generation() }
    }

    fn open(
        &self,
        make: bool,
        encoded: &str,
        name: &str,
        params: &[(&str, Vec<u8>)],
    ) -> Result<Params, RemoteError> {
        let mut call = Call::new(self.client()?, &OPEN, &self.keys, self.ttl).of_maybe_none();
        call =
            call.arg(self.kind.name).int(make.into()).arg(encoded).arg(self.kind.parts.join(","));
        for (name, value) in params {
            call = call.arg(name).arg(value);
        }
        let mut reply = call.run(&Patience::forever())?;
        match reply.int(0)? {
            2 => return Err(RemoteError::Gone(name.to_string())),
            3 => {
                let (name, is, asked) = (name.to_string(), reply.text(1)?, self.kind.name);
                return Err(RemoteError::WrongKind { name, is, asked });
            }
            _ => {}
        }
        let mut found = reply.array(1)?;
        let mut params = Params::new();
        for i in (0..found.len()).step_by(2) {
            params.insert(found.text(i)?, found.bytes(i + 1)?.unwrap_or_default());
        }
        Ok(params)
    }

    /// Has this process's client keep it alive, if it has no name.
    fn keep(&self, shared: bool) -> Result<(), RemoteError> {
        if self.named {
            return Ok(());
        }
        let client = self.server.client()?;
        let mut kept = locked(&client.kept);
        let one = kept.entry(self.keys[0].clone()).or_insert_with(|| Kept {
            handles: 0,
            keys: self.keys.clone(),
            ttl: self.ttl,
            shared: false,
            forks: forks_begun(),
        });
        one.handles += 1;
        one.shared |= shared;
        Ok(())
    }

    #[cfg(test)]
    /// Another handle of it in this process.
    pub(crate) fn another(&self) -> Result<Object, RemoteError> {
        let (server, keys) = (self.server.clone(), self.keys.clone());
        let (kind, named, ttl) = (self.kind, self.named, self.ttl);
        let other = Object { server, kind, keys, named, ttl, born: generation() };
        other.keep(false)?;
        Ok(other)
    }

    /// Its key, for a handle that is about to travel: from now on others may have it.
    pub(crate) fn key_to_send(&self) -> &str {
        if !self.named
            && let Ok(client) = self.server.client()
            && let Some(one) = locked(&client.kept).get_mut(&self.keys[0])
        {
            one.shared = true;
        }
        self.key()
    }

    /// The key of its hash.
    pub(crate) fn key(&self) -> &str {
        &self.keys[0]
    }

    /// Its name, if it has one.
    pub(crate) fn name(&self) -> Option<String> {
        let start = self.server.address().prefix().len() + 3;
        self.named.then(|| decode_name(&self.keys[0][start..]))
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn client(&self) -> Result<Arc<Client>, RemoteError> {
        self.server.client()
    }

    /// A call of a script, which has all keys of the object.
    pub(crate) fn call(&self, script: &'static Script) -> Result<Call<'_>, RemoteError> {
        let client = self.client()?;
        if !self.named {
            // A fork child keeps alive what it uses of its parent's, and who comes back to a server what he had.
            let fresh = || Kept {
                handles: 1,
                keys: self.keys.clone(),
                ttl: self.ttl,
                shared: true,
                forks: forks_begun(),
            };
            let mut kept = locked(&client.kept);
            if !kept.contains_key(&self.keys[0]) {
                kept.insert(self.keys[0].clone(), fresh());
            }
        }
        Ok(Call::new(client, script, &self.keys, self.ttl))
    }

    /// Tries until it has something, sleeping in between until it is woken; `None` if patience ends first.
    ///
    /// `waiters` is the place among the keys (as in the scripts, so the first part's is 2) of the zset of those who wait. An attempt is
    /// given the waiter that its script is to enter if it can't go on, and to strike out if it can; the first one none. Who
    /// was woken and found nothing, because another one came first, says how long he has waited: he keeps his place.
    pub(crate) fn wait<T>(
        &self,
        waiters: usize,
        patience: &Patience<'_>,
        mut attempt: impl FnMut(Option<&str>) -> Result<Option<T>, RemoteError>,
    ) -> Result<Option<T>, RemoteError> {
        if let Some(found) = attempt(None)? {
            return Ok(Some(found));
        }
        if patience.is_over() {
            return Ok(None);
        }
        let client = self.client()?;
        let waiter = client.waiters.enter();
        let _sleeps = stop::sleeps(waiter.parker());
        let mut member;
        let mut since = None;
        let result = loop {
            let life = client.life();
            let heard = client.until_heard(&life, patience);
            member = format!("{}:{}", life.id(), waiter.number());
            waiter.reset();
            if !heard {
                break Err(RemoteError::Interrupted);
            }
            let first = *since.get_or_insert_with(Instant::now);
            let said = match first.elapsed().as_micros() {
                0 => member.clone(),
                age => format!("{member}@{age}"),
            };
            match attempt(Some(&said)) {
                Ok(None) => {}
                Ok(Some(found)) => return Ok(Some(found)),
                Err(error) => break Err(error),
            }
            if patience.is_over() {
                break Ok(None);
            }
            let left = patience.until.map(|until| until.saturating_duration_since(Instant::now()));
            let slice = client.slice();
            // Whoever is stopped after this is woken.
            let limit = if stop::is_set() { Duration::ZERO } else { slice };
            let parked = waiter.park(left.map_or(limit, |left| left.min(limit)));
            if stop::is_set() || parked == Parked::Otherwise && patience.is_interrupted() {
                break Err(RemoteError::Interrupted);
            }
        };
        // The others' wake-up is not to be lost with this one; if the server hangs, nobody waits for that here.
        let call = self.call(&LEAVE)?.arg(member).arg(waiters.to_string()).parting();
        let _ = call.run(&Patience::none());
        result
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // What a fork child has of its parent's is the parent's to keep.
        if self.named || self.born != generation() {
            return;
        }
        let Some(client) = self.server.present_client() else { return };
        let mut kept = locked(&client.kept);
        let Some(one) = kept.get_mut(&self.keys[0]) else { return };
        one.handles = one.handles.saturating_sub(1);
        if one.handles > 0 {
            return;
        }
        let alone = !one.shared && one.forks == forks_begun();
        let keys = std::mem::take(&mut one.keys);
        kept.remove(&self.keys[0]);
        drop(kept);
        if alone {
            locked(&client.graves).push(keys);
        }
    }
}

/// Removes the object of that name, for everybody. Whether there was one.
pub(crate) fn remove(server: &Server, name: &str) -> Result<bool, RemoteError> {
    let encoded = encode_name(name);
    let keys = [format!("{}:n:{encoded}", server.address().prefix())];
    let call = Call::new(server.client()?, &REMOVE, &keys, 0).of_maybe_none();
    Ok(call.arg(encoded).run(&Patience::forever())?.int(0)? == 1)
}

/// Removes the object with that key, which has no name, for everybody. Whether it was there.
pub(crate) fn destroy(server: &Server, key: &str) -> Result<bool, RemoteError> {
    let keys = [key.to_string()];
    let call = Call::new(server.client()?, &REMOVE, &keys, 0);
    Ok(call.of_maybe_none().arg("").run(&Patience::forever())?.int(0)? == 1)
}

/// The names and kinds of the objects that have names, the oldest first.
pub(crate) fn names(server: &Server) -> Result<Vec<(String, String)>, RemoteError> {
    let mut reply = Call::new(server.client()?, &NAMES, &[], 0).read(&Patience::forever())?;
    let pairs = (0..reply.len()).step_by(2);
    pairs.map(|i| Ok((decode_name(&reply.text(i)?), reply.text(i + 1)?))).collect()
}

/// A name as it stands in keys, whose parts colons part.
fn encode_name(name: &str) -> String {
    // A name may be empty, which in a key would be none.
    if name.is_empty() { "%".into() } else { name.replace('%', "%25").replace(':', "%3A") }
}

pub(super) fn decode_name(encoded: &str) -> String {
    if encoded == "%" {
        return String::new();
    }
    encoded.replace("%3A", ":").replace("%25", "%")
}
