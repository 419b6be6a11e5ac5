//! The child's side: how a process learns that it is one, and carries out its order.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::panic::{self, AssertUnwindSafe};
use std::process::exit;
use std::sync::OnceLock;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::line::{Line, Order};
use crate::arena::family::Family;
use crate::channel::Received;
use crate::codec;
use crate::handle;
use crate::sys::atomic::{AtomicBool, Ordering};
use crate::sys::image::Place;
use crate::sys::{process, spawn, thread};
use crate::travel;

/// Tells a process that it is a child: the family's descriptor, and the line's handle in hex.
pub(super) const VARIABLE: &str = "PROCESSION_CHILD";

/// Exit codes of children: Rust's own after a panic, and of those that did nothing.
const PANICKED: i32 = 101;
const DID_NOTHING: i32 = 1;

static READY: AtomicBool = AtomicBool::new(false);
static LINE: OnceLock<Line> = OnceLock::new();

/// Whether this process's children would carry out their orders.
pub(super) fn is_ready() -> bool {
    READY.load(Ordering::Relaxed)
}

/// Makes processes possible: the first thing in `main`, which must call it before it does anything
/// else.
///
/// A process that [`Process::spawn`](crate::Process::spawn) starts is this program anew. In such a
/// one `init` runs the function that was ordered, and ends the process: it does not return. What
/// `main` does before, every child does as well. In any other process it returns at once; calling it
/// again does nothing. It must be called on the main thread, or it does not count.
///
/// In a program that has not called it, [`Process::spawn`](crate::Process::spawn) is an error. The
/// test harness of `cargo test` has a `main` of its own: tests that start processes need
/// `harness = false`.
///
/// # Examples
/// ```
/// fn double(n: u32) -> u32 {
///     2 * n
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     procession::init();
///     let process = procession::Process::spawn(double, 21)?;
///     assert_eq!(process.join()?, 42);
///     Ok(())
/// }
/// ```
pub fn init() {
    // With more rights than its caller it takes no orders, so it must not give any: each child would be
    // another such program, and go on in `main`.
    if is_ready() || !spawn::is_main_thread() || spawn::is_privileged() {
        return;
    }
    if let Some(errand) = spawn::take_variable(VARIABLE).and_then(|text| Errand::read(&text)) {
        errand.carry_out();
    }
    READY.store(true, Ordering::Relaxed);
}

/// What the environment says of this process's errand.
struct Errand {
    family: OwnedFd,
    parent: u32,
    handle: Vec<u8>,
}

/// The variable's value for a child.
pub(super) fn describe(family: Family, line: &Line) -> String {
    use std::os::fd::AsRawFd;
    let hex: String = line.handle().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}:{hex}", family.fd().as_raw_fd())
}

impl Errand {
    /// `None` if the variable is not meant for this process: it was a child's above, which has the
    /// descriptor. Who has that is the child, and must not go on in `main`, which might start another.
    fn read(text: &OsString) -> Option<Errand> {
        let Some((number, handle)) = Errand::parse(text) else {
            give_up(&format!("{VARIABLE} is broken; it is set for a child by its parent only"));
        };
        let Some(maker) = handle::maker(&handle) else {
            give_up(&format!("{VARIABLE} has no handle; it is set for a child by its parent only"));
        };
        let family = spawn::adopt(number, Some(maker.file))?;
        let is_child = spawn::parent() == maker.pid;
        let lives = process::start_time(maker.pid) == Some(maker.start);
        if !is_child && lives && !process::is_zombie(maker.pid) {
            give_up(
                "it is not a child of the process that started it, or in another pid namespace",
            );
        }
        if !is_child {
            give_up("the process that started this one has ended");
        }
        Some(Errand { family, parent: maker.pid, handle })
    }

    fn parse(text: &OsString) -> Option<(i32, Vec<u8>)> {
        let (number, hex) = text.to_str()?.split_once(':')?;
        let digits = (0..hex.len()).step_by(2);
        let handle: Option<Vec<u8>> =
            digits.map(|i| u8::from_str_radix(hex.get(i..i + 2)?, 16).ok()).collect();
        Some((number.parse().ok()?, handle?))
    }

    fn carry_out(self) -> ! {
        let line = Family::attach_fd(self.family).map_err(Into::into);
        let line = line.and_then(|_| Line::open(&self.handle));
        let line = line.unwrap_or_else(|e| give_up(&e.to_string()));
        let line = LINE.get_or_init(|| line);
        READY.store(true, Ordering::Relaxed);
        let (order, arguments) = match line.take_order() {
            Ok(Some(order)) => order,
            Ok(None) => give_up("there is no order for this process"),
            Err(e) => give_up(&e.to_string()),
        };
        if order.dies_with_parent && !spawn::die_with(self.parent).unwrap_or(false) {
            refuse(line, "the parent's end could not be watched, or it has ended");
        }
        take_names(&order);
        let adopted: Option<Vec<OwnedFd>> =
            order.descriptors.iter().map(|&number| spawn::adopt(number, None)).collect();
        let Some(descriptors) = adopted else {
            refuse(line, "a descriptor in the arguments was not inherited");
        };
        let Some(entry) = order.entry.function::<Task, ()>() else {
            refuse(line, "the function belongs to another build of this program");
        };
        entry(Task { line, function: order.function, arguments, descriptors });
        exit(0);
    }
}

/// What a child's generic part needs.
pub(super) struct Task {
    line: &'static Line,
    function: Place,
    arguments: Received,
    descriptors: Vec<OwnedFd>,
}

/// The generic part: of each pair of types there is one.
pub(super) fn entry<A: DeserializeOwned, R: Serialize>(task: Task) {
    let Task { line, function, arguments, descriptors } = task;
    let Some(function) = function.function::<A, R>() else {
        refuse(line, "the function belongs to another build of this program");
    };
    listen_for_panics(line);
    // Decoding and encoding may panic as well: they run the user's code.
    let work = || {
        let decoded = travel::unpack_with(descriptors, || decode(&arguments));
        drop(arguments);
        let arguments: A = match decoded {
            Ok(arguments) => arguments,
            Err(why) => refuse(line, &format!("the arguments could not be decoded: {why}")),
        };
        // Where even the reason could not be sent, the parent finds that nothing was.
        let _ = line.put_value(&function(arguments));
    };
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(work)) {
        let (text, place) = panic_said(payload.as_ref());
        let _ = line.put_panic(&text, place.as_deref());
        exit(PANICKED);
    }
}

fn decode<A: DeserializeOwned>(arguments: &Received) -> Result<A, String> {
    codec::decode(arguments.block.as_ref().ok_or("there are none")?.bytes())
}

/// The names that users see: in `ps`, and from a lock that this process leaves behind.
fn take_names(order: &Order) {
    if let Some(family) = Family::existing() {
        family.set_name(&order.name);
    }
    thread::set_name(&order.title);
}

thread_local! {
    /// Text and place of this thread's last panic.
    static LAST_PANIC: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

/// Notes where a panic was, which its payload does not say. Printed it is as usual.
fn listen_for_panics(line: &'static Line) {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let text = text_of(info.payload());
        let place = info.location().map(ToString::to_string);
        usual(info);
        if cfg!(panic = "abort") {
            // No later chance; and whichever thread it is, the process ends.
            let _ = line.put_panic(&text, place.as_deref());
        }
        if let Some(place) = place {
            let _ = LAST_PANIC.try_with(|last| last.replace(Some((text, place))));
        }
    }));
}

/// What a panic said that was caught on this thread, and where it was.
pub(crate) fn panic_said(payload: &(dyn Any + Send)) -> (String, Option<String>) {
    let text = text_of(payload);
    let place = LAST_PANIC.take().filter(|(said, _)| *said == text).map(|(_, place)| place);
    (text, place)
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic whose payload is no text").to_owned()
}

fn refuse(line: &Line, why: &str) -> ! {
    let _ = line.put_refusal(why);
    give_up(why);
}

/// Ends a child that cannot do what it was started for, and must not do what `main` does.
fn give_up(why: &str) -> ! {
    eprintln!("procession: process {} does nothing: {why}", std::process::id());
    exit(DID_NOTHING);
}
