//! `put` and `get` as CPython calls them.
//!
//! The common case, room and an item and nobody who waits, costs a few nanoseconds; PyO3's way into a method
//! costs several times that. So these four are C functions, which do that case, and leave every other to
//! [`ops`].
//!
//! Invariant: CPython calls them attached, through a method descriptor of `ThreadQueueBase`, which has checked
//! that `slf` is one.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use procession::threads::{Side, State, deliver};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi::{self, PyMethodDef, PyObject};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

use super::here::Here;
use super::{PyThreadQueueBase, ops};

type Count = ffi::Py_ssize_t;

/// The queue, and that this thread is attached.
///
/// # Safety
/// By the module's invariant; `slf` outlives the result.
#[inline]
unsafe fn here<'a>(slf: *mut PyObject) -> Here<'a, 'a> {
    // SAFETY: attached, and a queue, by the invariant.
    unsafe {
        let py = Python::assume_attached();
        let slf: Borrowed<'a, 'a, PyAny> = Borrowed::from_ptr(py, slf);
        Here { queue: slf.cast_unchecked::<PyThreadQueueBase>().get(), py }
    }
}

unsafe extern "C" fn put(
    slf: *mut PyObject,
    args: *const *mut PyObject,
    count: Count,
    names: *mut PyObject,
) -> *mut PyObject {
    if count == 1 && names.is_null() {
        // SAFETY: the invariant; there is one argument.
        return unsafe { put_one(slf, *args) };
    }
    // SAFETY: the arguments as they came.
    slowly(slf, |slf| unsafe {
        let names_of = [c"item", c"block", c"timeout"];
        let [item, block, timeout] = parse(slf.py(), c"put", names_of, 1, args, count, names)?;
        let Some(item) = item else {
            let text = "put() missing 1 required positional argument: 'item'";
            return Err(PyTypeError::new_err(text));
        };
        if slf.get().simple {
            return ops::put(slf, item, None, None).map(|()| None);
        }
        ops::put(slf, item, block.as_ref(), timeout.as_ref()).map(|()| None)
    })
}

/// # Safety
/// By the invariant; `item` is borrowed from the caller.
#[inline]
unsafe fn put_one(slf: *mut PyObject, item: *mut PyObject) -> *mut PyObject {
    // SAFETY: the caller's promise; one reference more is the queue's.
    unsafe {
        let here = here(slf);
        let owned = Bound::from_borrowed_ptr(here.py, item).unbind();
        match here.queue.state.with(here.py, |state| state.put(owned)) {
            Ok(None) => ffi::Py_NewRef(ffi::Py_None()),
            Ok(wake) => slowly(slf, |slf| {
                deliver(&Here { queue: slf.get(), py: slf.py() }, Side::Item, wake);
                Ok(None)
            }),
            Err((_, item)) => slowly(slf, |slf| {
                ops::put(slf, item.into_bound(slf.py()), None, None).map(|()| None)
            }),
        }
    }
}

unsafe extern "C" fn get(
    slf: *mut PyObject,
    args: *const *mut PyObject,
    count: Count,
    names: *mut PyObject,
) -> *mut PyObject {
    if count == 0 && names.is_null() {
        // SAFETY: the invariant.
        if let Some(item) = unsafe { get_one(slf) } {
            return item;
        }
    }
    // SAFETY: the arguments as they came.
    slowly(slf, |slf| unsafe {
        let [block, timeout] =
            parse(slf.py(), c"get", [c"block", c"timeout"], 0, args, count, names)?;
        ops::get(slf, block.as_ref(), timeout.as_ref()).map(Some)
    })
}

/// An item, if there is one to take at once.
///
/// # Safety
/// By the invariant.
#[inline]
unsafe fn get_one(slf: *mut PyObject) -> Option<*mut PyObject> {
    // SAFETY: the caller's promise.
    let here = unsafe { here(slf) };
    let (item, wake) = here.queue.state.with(here.py, State::get).ok()?;
    let item = item.into_ptr();
    if wake.is_some() {
        let none = slowly(slf, |slf| {
            deliver(&Here { queue: slf.get(), py: slf.py() }, Side::Room, wake);
            Ok(None)
        });
        // SAFETY: None, or null after a panic, which is then forgotten: the item counts more.
        unsafe {
            ffi::Py_XDECREF(none);
            if none.is_null() {
                ffi::PyErr_Clear();
            }
        }
    }
    Some(item)
}

unsafe extern "C" fn put_nowait(
    slf: *mut PyObject,
    args: *const *mut PyObject,
    count: Count,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the arguments as they came.
    unsafe {
        if count == 1 && names.is_null() {
            if here(slf).queue.simple {
                return put_one(slf, *args);
            }
            return with_block_false(slf, intern_put, Some(*args));
        }
        slowly(slf, |slf| {
            let [item] = parse(slf.py(), c"put_nowait", [c"item"], 1, args, count, names)?;
            let Some(item) = item else {
                let text = "put_nowait() missing 1 required positional argument: 'item'";
                return Err(PyTypeError::new_err(text));
            };
            slf.call_method1(intern!(slf.py(), "put"), (item, false)).map(Some)
        })
    }
}

unsafe extern "C" fn get_nowait(slf: *mut PyObject, _none: *mut PyObject) -> *mut PyObject {
    // SAFETY: the invariant.
    unsafe {
        if !here(slf).queue.simple {
            return with_block_false(slf, intern_get, None);
        }
        if let Some(item) = get_one(slf) {
            return item;
        }
        slowly(slf, |slf| ops::get_patiently(slf, crate::blocking::Patience::None).map(Some))
    }
}

fn intern_put(py: Python<'_>) -> *mut PyObject {
    intern!(py, "put").as_ptr()
}

fn intern_get(py: Python<'_>) -> *mut PyObject {
    intern!(py, "get").as_ptr()
}

/// Calls the object's own method with `block=False`, as the standard library's do, so that a class that
/// overrides it is heard.
///
/// # Safety
/// By the invariant; `item` is borrowed.
unsafe fn with_block_false(
    slf: *mut PyObject,
    name: fn(Python<'_>) -> *mut PyObject,
    item: Option<*mut PyObject>,
) -> *mut PyObject {
    static NAMES: PyOnceLock<Py<PyTuple>> = PyOnceLock::new();
    // SAFETY: the caller's promise.
    unsafe {
        let py = Python::assume_attached();
        let Ok(names) = NAMES
            .get_or_try_init(py, || PyTuple::new(py, [intern!(py, "block")]).map(Bound::unbind))
        else {
            return ptr::null_mut();
        };
        let no = ffi::Py_False();
        if let Some(item) = item {
            let all = [slf, item, no];
            ffi::PyObject_VectorcallMethod(name(py), all.as_ptr(), 2, names.as_ptr())
        } else {
            let all = [slf, no];
            ffi::PyObject_VectorcallMethod(name(py), all.as_ptr(), 1, names.as_ptr())
        }
    }
}

/// Does something the general way; `None` is Python's None.
#[cold]
fn slowly<F>(slf: *mut PyObject, act: F) -> *mut PyObject
where
    F: for<'py> FnOnce(&Bound<'py, PyThreadQueueBase>) -> PyResult<Option<Bound<'py, PyAny>>>,
{
    // SAFETY: attached, and a queue, by the invariant.
    let py = unsafe { Python::assume_attached() };
    let counted = |_counted: Python<'_>| {
        // SAFETY: the same.
        let queue = unsafe { Borrowed::from_ptr(py, slf).cast_unchecked::<PyThreadQueueBase>() };
        match act(&queue) {
            Ok(Some(object)) => object.into_ptr(),
            Ok(None) => py.None().into_ptr(),
            Err(error) => {
                error.restore(py);
                ptr::null_mut()
            }
        }
    };
    // PyO3 must count that this thread is attached. Its `attach` would also look whether the interpreter runs,
    // and panic in a destructor at the interpreter's end.
    // SAFETY: the same.
    let attached = || unsafe { Python::attach_unchecked(counted) };
    catch_unwind(AssertUnwindSafe(attached)).unwrap_or_else(|_| {
        PyRuntimeError::new_err("a panic in a thread queue").restore(py);
        ptr::null_mut()
    })
}

/// Arguments by place or by name; None is as good as none.
///
/// # Safety
/// `args` are `count` arguments and one for each of `names`, as the vectorcall protocol has them.
unsafe fn parse<'py, const N: usize>(
    py: Python<'py>,
    function: &CStr,
    known: [&CStr; N],
    least: usize,
    args: *const *mut PyObject,
    count: Count,
    names: *mut PyObject,
) -> PyResult<[Option<Bound<'py, PyAny>>; N]> {
    let function = function.to_string_lossy();
    let mut found = [const { None }; N];
    let count = count.cast_unsigned();
    if count > N {
        // With `self`, as the standard library's methods in Python say it.
        let (least, most, given) = (least + 1, N + 1, count + 1);
        let range = if least < most { format!("from {least} to {most}") } else { most.to_string() };
        return Err(PyTypeError::new_err(format!(
            "{function}() takes {range} positional arguments but {given} were given"
        )));
    }
    // SAFETY: the caller's promise.
    unsafe {
        for (i, place) in found.iter_mut().enumerate().take(count) {
            *place = Some(Bound::from_borrowed_ptr(py, *args.add(i)));
        }
        let named = if names.is_null() { 0 } else { ffi::PyTuple_Size(names) };
        for i in 0..named {
            let name = ffi::PyTuple_GetItem(names, i);
            let same =
                |text: &&CStr| ffi::PyUnicode_CompareWithASCIIString(name, text.as_ptr()) == 0;
            let shown = || Bound::<PyAny>::from_borrowed_ptr(py, name);
            let Some(at) = known.iter().position(same) else {
                return Err(PyTypeError::new_err(format!(
                    "{function}() got an unexpected keyword argument '{}'",
                    shown()
                )));
            };
            if found[at].is_some() {
                return Err(PyTypeError::new_err(format!(
                    "{function}() got multiple values for argument '{}'",
                    shown()
                )));
            }
            let value = *args.add(count + i.cast_unsigned());
            found[at] = Some(Bound::from_borrowed_ptr(py, value));
        }
    }
    Ok(found)
}

struct Methods([PyMethodDef; 4]);

// SAFETY: never written.
unsafe impl Sync for Methods {}

static METHODS: Methods = Methods([
    PyMethodDef {
        ml_name: c"put".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: put },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: c"put($self, item, block=True, timeout=None)\n--\n\n\
Puts an object into the queue.\n\n\
If the queue is full and block is true, waits for room, at most timeout seconds; then raises Full.\n\
ShutDown if the queue was shut down."
            .as_ptr(),
    },
    PyMethodDef {
        ml_name: c"get".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: get },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: c"get($self, block=True, timeout=None)\n--\n\n\
Takes the next object out of the queue and returns it.\n\n\
If the queue is empty and block is true, waits for one, at most timeout seconds; then raises Empty.\n\
ShutDown if the queue was shut down and is empty."
            .as_ptr(),
    },
    PyMethodDef {
        ml_name: c"put_nowait".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: put_nowait },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: c"put_nowait($self, item)\n--\n\nThe same as put(item, block=False).".as_ptr(),
    },
    PyMethodDef {
        ml_name: c"get_nowait".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: get_nowait },
        ml_flags: ffi::METH_NOARGS,
        ml_doc: c"get_nowait($self)\n--\n\nThe same as get(block=False).".as_ptr(),
    },
]);

/// Gives `ThreadQueueBase` these methods.
pub(crate) fn install(class: &Bound<'_, PyType>) -> PyResult<()> {
    for method in &METHODS.0 {
        // SAFETY: the definition lives as long as the program, and its texts are C strings.
        let (name, descriptor) = unsafe {
            let definition = ptr::from_ref(method).cast_mut();
            let descriptor = ffi::PyDescr_NewMethod(class.as_type_ptr(), definition);
            let descriptor = Bound::from_owned_ptr_or_err(class.py(), descriptor)?;
            (CStr::from_ptr(method.ml_name), descriptor)
        };
        class.setattr(name.to_string_lossy().as_ref(), descriptor)?;
    }
    Ok(())
}
