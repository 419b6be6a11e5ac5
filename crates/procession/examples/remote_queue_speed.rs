//! What a queue on a server costs beside the bare client: `cargo run --release --features redis --example
//! remote_queue_speed redis://127.0.0.1:6379`.
//!
//! Each case puts a message and takes it out again, in turn, in one process. All cases take turns, round for round, so that
//! what else the machine does hits all of them. Printed are the median over the rounds, the fastest and slowest, and the
//! median of the ratio to the bare commands in the same round.

use std::error::Error;
use std::time::Instant;

use procession::remote::queue::{Limits, NewMessage, QueueKind, RemoteQueue};
use procession::remote::{Family, Patience};

const ROUNDS: usize = 9;
const PAIRS: u32 = 3000;
const BATCH: usize = 1000;
const WAITS: u32 = 300;

/// What it is, how many puts and gets it makes, and the case.
type Case<'a> = (&'a str, u32, Box<dyn FnMut() -> Result<(), Box<dyn Error>> + 'a>);

/// Scripts that do no more than `RPUSH` and `LPOP`: what a script costs at all.
const PUT: &str = "return redis.call('RPUSH', KEYS[1], ARGV[1])";
const GET: &str = "return redis.call('LPOP', KEYS[1])";

/// The queue's own scripts, for the bare client.
const PRELUDE: &str = include_str!("../src/remote/lua/prelude.lua");
const QUEUE_PUT: &str = concat!(
    include_str!("../src/remote/lua/queue_room.lua"),
    include_str!("../src/remote/lua/queue_put.lua")
);
const QUEUE_GET: &str = concat!(
    include_str!("../src/remote/lua/queue_take.lua"),
    include_str!("../src/remote/lua/queue_get.lua")
);

/// A client that knows no more than which bytes to send.
struct Same {
    connection: redis::Connection,
    put: String,
    get: String,
    seq: u64,
}

impl Same {
    fn new(mut connection: redis::Connection) -> redis::RedisResult<Same> {
        redis::cmd("DEL").arg("same:client:x").exec(&mut connection)?;
        redis::cmd("HSET").arg("same:client:x").arg("pid").arg(1).exec(&mut connection)?;
        redis::cmd("HSET").arg("same:n:q").arg("kind").arg("queue").exec(&mut connection)?;
        let mut load = |body: &str| {
            let text = PRELUDE.replacen("--BODY--", body, 1);
            redis::cmd("SCRIPT").arg("LOAD").arg(text).query(&mut connection)
        };
        let (put, get) = (load(QUEUE_PUT)?, load(QUEUE_GET)?);
        Ok(Same { connection, put, get, seq: 0 })
    }

    fn call(&mut self, put: bool, arguments: &[&[u8]]) -> redis::RedisResult<redis::Value> {
        self.seq += 1;
        let mut command = redis::cmd("EVALSHA");
        command
            .arg(if put { &self.put } else { &self.get })
            .arg(6)
            .arg("same:client:x")
            .arg("same:n:q");
        for part in ["items", "getters", "putters", "joiners"] {
            command.arg(format!("same:n:q:{part}"));
        }
        command.arg(0).arg(self.seq).arg(0).arg("same").arg(1).arg(arguments);
        command.query(&mut self.connection)
    }
}

fn message(body: &[u8]) -> NewMessage<'_> {
    NewMessage { kind: 1, body, key: &[0x33] }
}

/// What the bare client does.
fn bare_cases<'a>(url: &str, body: &'a [u8]) -> Result<Vec<Case<'a>>, Box<dyn Error>> {
    let client = redis::Client::open(url.split('?').next().unwrap_or(url))?;
    let (mut bare, mut scripted) = (client.get_connection()?, client.get_connection()?);
    let (put, get) = (redis::Script::new(PUT), redis::Script::new(GET));
    put.prepare_invoke().load(&mut scripted)?;
    get.prepare_invoke().load(&mut scripted)?;
    let mut same = Same::new(client.get_connection()?)?;
    let commands = move || {
        for _ in 0..PAIRS {
            redis::cmd("RPUSH").arg("bare").arg(body).exec(&mut bare)?;
            redis::cmd("LPOP").arg("bare").query::<Vec<u8>>(&mut bare)?;
        }
        Ok(())
    };
    let scripts = move || {
        for _ in 0..PAIRS {
            put.key("scripted").arg(body).invoke::<i64>(&mut scripted)?;
            get.key("scripted").invoke::<Vec<u8>>(&mut scripted)?;
        }
        Ok(())
    };
    let whole = [&[1], body].concat();
    let same_scripts = move || {
        for _ in 0..PAIRS {
            same.call(true, &[b"0", b"0", b"", b"", &whole])?;
            same.call(false, &[b"LPOP", b"1", b"", b""])?;
        }
        Ok(())
    };
    Ok(vec![
        ("RPUSH and LPOP", PAIRS, Box::new(commands)),
        ("the same in EVALSHA", PAIRS, Box::new(scripts)),
        ("the queue's scripts", PAIRS, Box::new(same_scripts)),
    ])
}

fn pairs(queue: &RemoteQueue, body: &[u8]) -> Result<(), Box<dyn Error>> {
    for _ in 0..PAIRS {
        queue.put(message(body), &Patience::forever())?;
        let taken = queue.get(&Patience::forever())?;
        if let Some(ticket) = taken.ticket() {
            queue.done(ticket)?;
        }
    }
    Ok(())
}

fn batches(queue: &RemoteQueue, body: &[u8]) -> Result<(), Box<dyn Error>> {
    let batch = vec![message(body); BATCH];
    let mut left = PAIRS as usize;
    while left > 0 {
        queue.put_many(&batch, &Patience::forever())?;
        left -= queue.get_many(BATCH, &Patience::forever())?.len();
    }
    Ok(())
}

fn measure(size: usize, mut cases: Vec<Case<'_>>) -> Result<(), Box<dyn Error>> {
    let mut times = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for ((_, pairs, case), times) in cases.iter_mut().zip(&mut times) {
            let began = Instant::now();
            case()?;
            times.push(began.elapsed().as_secs_f64() * 1e6 / f64::from(*pairs));
        }
    }
    println!("µs for a put and a get of {size} bytes, {ROUNDS} rounds:");
    for ((name, ..), taken) in cases.iter().zip(&times) {
        let mut ratios: Vec<f64> =
            taken.iter().zip(&times[0]).map(|(one, bare)| one / bare).collect();
        let mut sorted = taken.clone();
        sorted.sort_by(f64::total_cmp);
        ratios.sort_by(f64::total_cmp);
        let (least, most) = (sorted[0], sorted[ROUNDS - 1]);
        let (median, ratio) = (sorted[ROUNDS / 2], ratios[ROUNDS / 2]);
        println!(
            "{name:28} {median:7.1} ({least:.1} to {most:.1})  {ratio:.2} times the bare commands"
        );
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("give the address of a server")?;
    let size: usize = std::env::args().nth(2).map_or(Ok(16), |text| text.parse())?;
    let (family, body) = (Family::open(&url)?, vec![7; size]);
    let queue = |kind, limits| RemoteQueue::anonymous(family.server(), kind, limits);
    let fifo = || queue(QueueKind::Fifo, Limits::default());
    let named = RemoteQueue::named(family.server(), QueueKind::Fifo, "speed", Limits::default())?;
    let body = &body[..];
    let mut cases = bare_cases(&url, body)?;
    let ours = [
        ("Queue with a name", named),
        ("Queue", fifo()?),
        ("Queue(1000)", queue(QueueKind::Fifo, Limits::of(1000))?),
        ("JoinableQueue", queue(QueueKind::Joinable, Limits::default())?),
        ("PriorityQueue", queue(QueueKind::Priority, Limits::default())?),
        ("DeliveryQueue and done", queue(QueueKind::Delivery, Limits::default())?),
    ];
    for (name, queue) in ours {
        cases.push((name, PAIRS, Box::new(move || pairs(&queue, body))));
    }
    let many = fifo()?;
    cases.push(("Queue, 1000 at once", PAIRS, Box::new(move || batches(&many, body))));

    // Another client takes from one and puts into the other.
    let (there, back) = (fifo()?, fifo()?);
    let joint = if url.contains('?') { '&' } else { '?' };
    let other = Family::open(&format!("{url}{joint}lease=11"))?;
    let attach = |queue: &RemoteQueue| {
        RemoteQueue::attach(other.server(), queue.kind(), queue.key_to_send())
    };
    let (from, to) = (attach(&there)?, attach(&back)?);
    let echo = std::thread::spawn(move || {
        while let Ok(taken) = from.get(&Patience::forever())
            && to.put(message(taken.body()), &Patience::forever()).is_ok()
        {}
    });
    let end = there.clone();
    let answer = move || {
        for _ in 0..WAITS {
            there.put(message(body), &Patience::forever())?;
            back.get(&Patience::forever())?;
        }
        Ok(())
    };
    cases.push(("to one who waits, and back", 2 * WAITS, Box::new(answer)));
    measure(size, cases)?;
    end.shutdown(false)?;
    echo.join().map_err(|_| "the other client failed")?;
    family.remove("speed")?;
    Ok(())
}
