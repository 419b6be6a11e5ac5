//! The one thread of a client: renews its lease, hears wake-ups, and sees to what was left undone.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use redis::{Connection, RedisError};

use super::call::Pace;
use super::client::{Client, locked};
use super::life::Life;
use super::reply::Reply;

/// Between attempts to reach the server, the first and the longest.
const PAUSE: Duration = Duration::from_millis(20);
const LONG_PAUSE: Duration = Duration::from_secs(1);

/// Begins it. It ends with the client.
pub(super) fn begin(client: &Arc<Client>) {
    let client = Arc::downgrade(client);
    let run = move || {
        let mut pause = PAUSE;
        while let Some(strong) = client.upgrade()
            && !strong.has_ended()
        {
            let longest = LONG_PAUSE.min(strong.address().lease() / 6);
            let began = Instant::now();
            let _ = beat_and_hear(strong, &client);
            if let Some(strong) = client.upgrade() {
                strong.hears(None);
                strong.life().is_over();
            }
            pause = if began.elapsed() > LONG_PAUSE { PAUSE } else { (pause * 2).min(longest) };
            std::thread::sleep(pause);
        }
    };
    // Without it leases end, and who waits looks by himself: so it is no error that there is no thread.
    let _ = std::thread::Builder::new().name("procession-remote".into()).spawn(run);
}

/// Until the connection breaks or the client ends.
fn beat_and_hear(client: Arc<Client>, weak: &Weak<Client>) -> Result<(), RedisError> {
    let address = Arc::clone(client.address());
    let period = (address.lease() / 3).min(address.keep() / 4);
    let limit = period.max(Duration::from_millis(50));
    let mut beats = address.connect(limit)?;
    let mut life = client.life();
    if !renew(&client, &life, &mut beats)? {
        match begin_anew(&client, &life, &mut beats)? {
            Some(fresh) => life = fresh,
            None => return Ok(()),
        }
    }
    let mut ears = address.connect(limit)?;
    let mut ears = ears.as_pubsub();
    ears.subscribe(life.channel(&address))?;
    client.hears(Some(life.id().to_string()));
    client.waiters.wake_all();
    resolve(&client, &mut beats, limit)?;
    bury(&client, &mut beats)?;
    keep(&client, &mut beats)?;
    drop(client);

    let mut keeping = Instant::now();
    loop {
        let beat = Instant::now() + period;
        while let left = beat.saturating_duration_since(Instant::now())
            && !left.is_zero()
        {
            ears.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            let heard = ears.get_message();
            let Some(client) = weak.upgrade().filter(|client| !client.has_ended()) else {
                return Ok(());
            };
            match heard.map(|message| message.get_payload::<String>()) {
                Ok(Ok(number)) => {
                    if let Ok(number) = number.parse() {
                        client.waiters.wake(number);
                    }
                }
                Err(error) if error.is_timeout() => break,
                Ok(Err(error)) | Err(error) => return Err(error),
            }
        }
        let Some(client) = weak.upgrade().filter(|client| !client.has_ended()) else {
            return Ok(());
        };
        let current = client.life();
        if !Arc::ptr_eq(&current, &life) || !renew(&client, &life, &mut beats)? {
            // Under the new one, from the beginning.
            begin_anew(&client, &life, &mut beats)?;
            return Ok(());
        }
        // A connection that was cut is silent: it is asked for a sign of life.
        ears.set_read_timeout(Some(limit))?;
        ears.ping::<redis::Value>()?;
        resolve(&client, &mut beats, limit)?;
        bury(&client, &mut beats)?;
        if keeping.elapsed() >= (address.keep() / 4).min(Duration::from_secs(300)) {
            keeping = Instant::now();
            keep(&client, &mut beats)?;
        }
    }
}

fn renew(client: &Client, life: &Life, on: &mut Connection) -> Result<bool, RedisError> {
    Ok(!client.has_ended() && life.renew(on)?)
}

/// Begins another life, unless the client has ended: that may be said at any moment, and nobody would end it then.
fn begin_anew(
    client: &Client,
    life: &Arc<Life>,
    on: &mut Connection,
) -> Result<Option<Arc<Life>>, RedisError> {
    if client.has_ended() {
        return Ok(None);
    }
    let fresh = client.renew(life, on)?;
    if client.has_ended() {
        fresh.leave(on);
        return Ok(None);
    }
    Ok(Some(fresh))
}

/// Finds out what became of calls whose callers were told an error, and takes back what should not have been done.
/// `limit`: what the connection has.
pub(super) fn resolve(
    client: &Client,
    on: &mut Connection,
    limit: Duration,
) -> Result<(), RedisError> {
    let mut all = std::mem::take(&mut *locked(&client.unresolved));
    let mut refused = Vec::new();
    let mut result = Ok(());
    while let Some(mut left) = all.pop() {
        if left.life.is_over() {
            client.give_slot(left.slot);
            continue;
        }
        let seq = left.slot.number(true);
        let mut pace = Pace { limit, most: limit, written: None };
        match left.sending.send(on, &left.life, client.address().prefix(), seq, &mut pace) {
            Ok(value) => match (left.undo.take(), Reply::of(value)) {
                (Some(undo), Ok(reply)) => {
                    left.sending = left.sending.undone_by(undo, reply.into_arguments());
                    left.slot.seq += 1;
                    all.push(left);
                }
                _ => client.give_slot(left.slot),
            },
            Err(error) if is_settled(&error) => client.give_slot(left.slot),
            // What the server refuses for now (it has no memory, it loads its data) is tried at the next beat.
            Err(error) if error.code().is_some() => refused.push(left),
            Err(error) => {
                refused.push(left);
                result = Err(error);
                break;
            }
        }
    }
    refused.append(&mut all);
    locked(&client.unresolved).append(&mut refused);
    result
}

/// Whether there is nothing to find out or to take back any more: the life is over, or the object gone.
fn is_settled(error: &RedisError) -> bool {
    matches!(error.code(), Some("PROCESSIONOVER" | "PROCESSIONGONE" | "PROCESSIONSTALE"))
}

/// Removes objects that nobody has any more.
pub(super) fn bury(client: &Client, on: &mut Connection) -> Result<(), RedisError> {
    loop {
        let Some(keys) = locked(&client.graves).pop() else { return Ok(()) };
        if let Err(error) = redis::cmd("UNLINK").arg(&keys).exec(on) {
            locked(&client.graves).push(keys);
            return Err(error);
        }
    }
}

/// Keeps the objects without names that this process has.
fn keep(client: &Client, on: &mut Connection) -> Result<(), RedisError> {
    let keys: Vec<(String, u64)> = {
        let kept = locked(&client.kept);
        kept.values().flat_map(|one| one.keys.iter().map(|key| (key.clone(), one.ttl))).collect()
    };
    for some in keys.chunks(1000) {
        let mut pipe = redis::pipe();
        for (key, ttl) in some {
            pipe.cmd("PEXPIRE").arg(key).arg(ttl).ignore();
        }
        pipe.exec(on)?;
    }
    Ok(())
}
