//! `ConnectionBase`: what `procession.connection`'s class is made of.
//!
//! A connection is an end of a pipe (a *ring*), or *plain*: a bare descriptor, which is the standard
//! library's business. `procession.connection.Connection` has the standard library's class for its
//! second base. Whatever is not an open ring in the right direction goes to that class's method,
//! which does it, or raises what it raises; and so do arguments out of the ordinary, as long as
//! nothing was received yet.
//!
//! As for queues: send encodes before it touches the ring, recv decodes after it has let go of it,
//! and the common path neither releases the interpreter nor allocates.

mod args;
mod ring;

use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use procession::{Family, RawConnection};
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::codec::{self, Kind, Policy, Scratch, Whole};
use crate::error::{self, Raise};
use crate::lease::PyLease;
use crate::memory::{self, Held, Room, Shelf};
use args::{Arg, Given, theirs};
use ring::{Ring, closed};

/// No descriptor.
const NONE: RawFd = -1;

/// The native part of a connection. Use `procession.Pipe`.
#[pyclass(frozen, subclass, weakref, name = "ConnectionBase", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyConnectionBase {
    ring: Shelf<Ring>,
    /// The descriptor of a plain connection.
    plain: AtomicI32,
    readable: AtomicBool,
    writable: AtomicBool,
}

#[pymethods]
impl PyConnectionBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            ring: Shelf::new(),
            plain: AtomicI32::new(NONE),
            readable: AtomicBool::new(false),
            writable: AtomicBool::new(false),
        }
    }

    /// Makes a new pipe: the two become its ends. If it is not duplex, this one receives and the
    /// other sends.
    fn _begin_pair(&self, other: &Bound<'_, Self>, duplex: bool) -> PyResult<()> {
        let family = Family::current().map_err(Raise::raise)?;
        let (first, second) = RawConnection::pair(family, duplex).map_err(Raise::raise)?;
        self.begin(other.py(), first)?;
        other.get().begin(other.py(), second)
    }

    /// Becomes the connection over a bare descriptor, which is its own from now on.
    fn _begin_plain(
        &self,
        py: Python<'_>,
        fd: RawFd,
        readable: bool,
        writable: bool,
    ) -> PyResult<()> {
        if self.ring.enter(py).is_some() {
            return Err(begun());
        }
        self.readable.store(readable, Ordering::Relaxed);
        self.writable.store(writable, Ordering::Relaxed);
        self.plain.store(fd, Ordering::Release);
        Ok(())
    }

    /// Becomes the end of a pipe that a bare descriptor is, which is its own from now on. False if
    /// it is none.
    fn _find(&self, py: Python<'_>, fd: RawFd) -> PyResult<bool> {
        match RawConnection::find(memory::adopt(fd)?) {
            Ok(connection) => self.begin(py, connection).map(|()| true),
            Err(not_ours) => {
                let _ = not_ours.into_raw_fd();
                Ok(false)
            }
        }
    }

    /// Becomes the end of a pipe that a handle and a descriptor name together. The descriptor is
    /// its own from now on; if this fails, it is closed.
    fn _attach(&self, handle: &Bound<'_, PyAny>, fd: RawFd) -> PyResult<()> {
        let socket = memory::adopt(fd)?;
        let connection = RawConnection::from_parts(handle.extract()?, socket);
        self.begin(handle.py(), connection.map_err(Raise::raise)?)
    }

    /// A few bytes that, beside the descriptor, name the end anywhere in its family; None for a
    /// plain connection. A message under way in this thread counts the rings.
    fn _ring_handle<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        if self.is_plain() {
            return Ok(None);
        }
        let ring = self.held(py)?;
        codec::handles::note(|| ring.leases());
        Ok(Some(PyBytes::new(py, &ring.handle())))
    }

    /// An object that keeps the rings alive while it is referenced, without being an end.
    fn _lease(&self, py: Python<'_>) -> PyResult<PyLease> {
        Ok(PyLease::of(self.held(py)?.leases()))
    }

    /// The descriptor as it is: whether it is readable says nothing, unless _arm() came before.
    fn _socket(&self, py: Python<'_>) -> PyResult<RawFd> {
        match self.plain.load(Ordering::Acquire) {
            NONE => Ok(self.held(py)?.fd().as_raw_fd()),
            fd => Ok(fd),
        }
    }

    /// Sees to it that the next message will make the descriptor readable; False if there is a
    /// message already.
    fn _arm(&self, py: Python<'_>) -> PyResult<bool> {
        self.held(py)?.arm(py)
    }

    /// Whether there is a message to receive. Makes no system call.
    fn _has_message(&self, py: Python<'_>) -> PyResult<bool> {
        let ring = self.held(py)?;
        Ok(ring.is_readable() && ring.has_message())
    }

    /// Whether the other end is closed by all who had it; messages may still be there.
    fn _hung_up(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.held(py)?.is_hung_up())
    }

    /// The descriptor as fileno() gives it, or None if the connection is closed.
    #[getter]
    fn _handle(&self, py: Python<'_>) -> PyResult<Option<RawFd>> {
        match self.ring.enter(py) {
            Some(ring) => ring.selectable_fd(py).map(Some),
            None => Ok(Some(self.plain.load(Ordering::Acquire)).filter(|fd| *fd != NONE)),
        }
    }

    /// None gives the descriptor up without closing it.
    #[setter(_handle)]
    fn set_handle(&self, py: Python<'_>, fd: Option<RawFd>) -> PyResult<()> {
        match (self.ring.enter(py), fd) {
            (Some(ring), None) => {
                ring.give_up_fd();
                self.ring.take(py);
            }
            (Some(ring), Some(fd)) if fd == ring.fd().as_raw_fd() => {}
            (Some(_), Some(_)) => {
                let why = "the end of a pipe cannot be given another descriptor";
                return Err(PyValueError::new_err(why));
            }
            (None, fd) => self.plain.store(fd.unwrap_or(NONE), Ordering::Release),
        }
        Ok(())
    }

    #[getter(_readable)]
    fn is_readable(&self) -> bool {
        self.readable.load(Ordering::Relaxed)
    }

    #[setter(_readable)]
    fn set_readable(&self, py: Python<'_>, readable: bool) -> PyResult<()> {
        if readable && self.ring.enter(py).is_some_and(|ring| !ring.is_readable()) {
            return Err(PyValueError::new_err("this end of the pipe sends only"));
        }
        self.readable.store(readable, Ordering::Relaxed);
        Ok(())
    }

    #[getter(_writable)]
    fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    #[setter(_writable)]
    fn set_writable(&self, py: Python<'_>, writable: bool) -> PyResult<()> {
        if writable && self.ring.enter(py).is_some_and(|ring| !ring.is_writable()) {
            return Err(PyValueError::new_err("this end of the pipe receives only"));
        }
        self.writable.store(writable, Ordering::Relaxed);
        Ok(())
    }

    /// Whether objects can be received here.
    #[getter]
    fn readable(&self) -> bool {
        self.is_readable()
    }

    /// Whether objects can be sent here.
    #[getter]
    fn writable(&self) -> bool {
        self.is_writable()
    }

    /// Whether the connection was closed in this process.
    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        self.ring.enter(py).is_none() && !self.is_plain()
    }

    /// A file descriptor that is readable while there is something to receive, or the other end is
    /// closed.
    fn fileno<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        match slf.get().ring.enter(py) {
            Some(ring) => Ok(ring.selectable_fd(py)?.into_pyobject(py)?.into_any()),
            None => theirs(intern!(py, "fileno"), (slf,)),
        }
    }

    /// Closes this process's end. The other end reads EOFError when all copies are closed.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        if slf.get().ring.enter(py).is_none() {
            return theirs(intern!(py, "close"), (slf,)).map(drop);
        }
        let closed = slf.call_method0(intern!(py, "_close"));
        slf.get().set_handle(py, None)?;
        closed.map(drop)
    }

    fn _close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        if slf.get().ring.enter(py).is_none() {
            return theirs(intern!(py, "_close"), (slf,)).map(drop);
        }
        slf.get().ring.take(py);
        Ok(())
    }

    /// Sends an object; waits while there is no room.
    ///
    /// BrokenPipeError if the other end is closed.
    fn send(slf: &Bound<'_, Self>, obj: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let Some(ring) = slf.get().sending(py) else {
            return theirs(intern!(py, "send"), (slf, obj)).map(drop);
        };
        let mut scratch = Scratch::take();
        let prepared = codec::prepare(obj, Policy::Anything, &mut scratch)?;
        if !prepared.is_inline(&scratch) {
            return ring.send_packed(prepared, &mut scratch);
        }
        ring.deliver(Kind::Plain, &scratch.bytes, None)
    }

    /// Receives an object; waits for one.
    ///
    /// EOFError if the other end is closed and nothing is left.
    fn recv<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let Some(ring) = slf.get().receiving(py) else {
            return theirs(intern!(py, "recv"), (slf,));
        };
        let mut scratch = Scratch::take();
        let message = ring.collect(&mut scratch.bytes)?;
        if codec::is_inline(&message) {
            return Ok(codec::decode_inline(py, &mut scratch)?);
        }
        Ok(codec::decode(py, message, Policy::Anything, &mut scratch)?)
    }

    /// Sends the bytes of a bytes-like object, or of a part of it, as one message.
    #[pyo3(signature = (buf, offset=Given::NOT, size=None), text_signature = "($self, buf, offset=0, size=None)")]
    fn send_bytes<'py>(
        slf: &Bound<'py, Self>,
        buf: &Bound<'py, PyAny>,
        offset: Given<'_, 'py>,
        size: Arg<'_, 'py>,
    ) -> PyResult<()> {
        let py = slf.py();
        let whole = offset.0.is_none() && size.is_none();
        if let Some(ring) = slf.get().sending(py) {
            if let Ok(bytes) = buf.cast_exact::<PyBytes>()
                && whole
            {
                return ring.send_bytes(bytes.as_bytes());
            }
            if let Ok(view) = PyUntypedBuffer::get(buf) {
                let piece = memory::contents(&view);
                if let Some(piece) = piece.and_then(|all| offset.part_of(all, size)) {
                    return ring.send_bytes(piece);
                }
            }
        }
        theirs(intern!(py, "send_bytes"), (slf, buf, offset.or_zero(py), size)).map(drop)
    }

    /// Receives one message as bytes.
    ///
    /// OSError if it is longer than maxlength; nothing can be received any more then.
    #[pyo3(signature = (maxlength=None))]
    fn recv_bytes<'py>(
        slf: &Bound<'py, Self>,
        maxlength: Arg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let Some(ring) = slf.get().receiving(py) else {
            return theirs(intern!(py, "recv_bytes"), (slf, maxlength));
        };
        if let Some(limit) = maxlength
            && limit.lt(0)?
        {
            return Err(PyValueError::new_err("negative maxlength"));
        }
        match ring.receive_bytes(py, maxlength)? {
            Some(bytes) => Ok(bytes.into_any()),
            None => theirs(intern!(py, "_bad_message_length"), (slf,)),
        }
    }

    /// Receives one message into a writable buffer, and returns its length.
    ///
    /// multiprocessing.BufferTooShort, with the message, if it does not fit.
    #[pyo3(signature = (buf, offset=Given::NOT), text_signature = "($self, buf, offset=0)")]
    fn recv_bytes_into<'py>(
        slf: &Bound<'py, Self>,
        buf: &Bound<'py, PyAny>,
        offset: Given<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let room = offset.offset().and_then(|offset| Room::of(buf, offset));
        let (Some(ring), Some(room)) = (slf.get().receiving(py), room) else {
            return theirs(intern!(py, "recv_bytes_into"), (slf, buf, offset.or_zero(py)));
        };
        let mut scratch = Scratch::take();
        let message = ring.collect(&mut scratch.bytes)?;
        let message = Whole::of(py, message, &mut scratch)?;
        let len = message.len();
        if len > room.len() {
            return Err(error::buffer_too_short(&message.into_bytes(py)?));
        }
        message.write_to(py, &room);
        Ok(len.into_pyobject(py)?.into_any())
    }

    /// Whether there is something to receive, or the other end is closed; waits for that at most
    /// timeout seconds, without a limit if it is None.
    #[pyo3(signature = (timeout=Given::NOT), text_signature = "($self, timeout=0.0)")]
    fn poll<'py>(slf: &Bound<'py, Self>, timeout: Given<'_, 'py>) -> PyResult<bool> {
        let py = slf.py();
        let Some(ring) = slf.get().receiving(py) else {
            return theirs(intern!(py, "poll"), (slf, timeout.or_zero(py)))?.is_truthy();
        };
        ring.poll(timeout.patience()?)
    }

    // What the standard library's own methods, and those of subclasses, are made of.

    fn _send_bytes<'py>(slf: &Bound<'py, Self>, buf: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let Some(ring) = slf.get().ring.enter(py) else {
            return theirs(intern!(py, "_send_bytes"), (slf, buf)).map(drop);
        };
        if !ring.is_writable() {
            return theirs(intern!(py, "_check_writable"), (slf,)).map(drop);
        }
        let view = PyUntypedBuffer::get(buf)?;
        if let Some(bytes) = memory::contents(&view) {
            return ring.send_bytes(bytes);
        }
        // The standard library joins it to a header, and so learns that this does not go.
        let joined = PyBytes::new(py, b"").add(buf)?;
        ring.send_bytes(joined.cast::<PyBytes>()?.as_bytes())
    }

    /// The message as an io.BytesIO that stands at its end; None if it is too long.
    #[pyo3(signature = (maxsize=None))]
    fn _recv_bytes<'py>(
        slf: &Bound<'py, Self>,
        maxsize: Arg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        static FILE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = slf.py();
        let Some(ring) = slf.get().ring.enter(py) else {
            return theirs(intern!(py, "_recv_bytes"), (slf, maxsize));
        };
        if !ring.is_readable() {
            return theirs(intern!(py, "_check_readable"), (slf,));
        }
        let Some(bytes) = ring.receive_bytes(py, maxsize)? else {
            return Ok(py.None().into_bound(py));
        };
        let file = FILE.import(py, "io", "BytesIO")?.call0()?;
        file.call_method1(intern!(py, "write"), (bytes,))?;
        Ok(file)
    }

    fn _poll<'py>(slf: &Bound<'py, Self>, timeout: Given<'_, 'py>) -> PyResult<bool> {
        let py = slf.py();
        match slf.get().ring.enter(py) {
            Some(ring) if ring.is_readable() => ring.poll(timeout.patience()?),
            _ => theirs(intern!(py, "_poll"), (slf, timeout.or_zero(py)))?.is_truthy(),
        }
    }

    /// A ring is closed when it is dropped; the inherited method would ask for its `_handle`.
    fn __del__(slf: &Bound<'_, Self>) -> PyResult<()> {
        if !slf.get().is_plain() {
            return Ok(());
        }
        theirs(intern!(slf.py(), "__del__"), (slf,)).map(drop)
    }
}

impl PyConnectionBase {
    fn begin(&self, py: Python<'_>, connection: RawConnection) -> PyResult<()> {
        let (readable, writable) = (connection.is_readable(), connection.is_writable());
        if self.is_plain() || self.ring.set(py, Ring::new(connection)).is_err() {
            return Err(begun());
        }
        self.readable.store(readable, Ordering::Relaxed);
        self.writable.store(writable, Ordering::Relaxed);
        Ok(())
    }

    fn is_plain(&self) -> bool {
        self.plain.load(Ordering::Acquire) != NONE
    }

    /// The ring, whatever its direction.
    fn held<'a>(&'a self, py: Python<'a>) -> PyResult<Held<'a, Ring>> {
        self.ring.enter(py).ok_or_else(|| {
            if self.is_plain() {
                PyValueError::new_err("the connection is not a pipe's, but a bare descriptor")
            } else {
                closed()
            }
        })
    }

    /// The ring, to send.
    #[inline]
    fn sending<'a>(&'a self, py: Python<'a>) -> Option<Held<'a, Ring>> {
        self.ring.enter(py).filter(|_| self.is_writable())
    }

    /// The ring, to receive.
    #[inline]
    fn receiving<'a>(&'a self, py: Python<'a>) -> Option<Held<'a, Ring>> {
        self.ring.enter(py).filter(|_| self.is_readable())
    }
}

#[cold]
fn begun() -> PyErr {
    PyRuntimeError::new_err("the connection has begun already")
}
