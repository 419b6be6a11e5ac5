//! `Probe`: what `procession doctor` looks at a server with. See `_serverdoctor.py`.

// What PyO3 takes out of an argument is handed over.
#![allow(clippy::needless_pass_by_value)]

use std::sync::Mutex;
use std::time::Duration;

use procession::remote::{Address, Answer, Probe, ProbeError};
use pyo3::exceptions::{PyConnectionError, PyPermissionError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

/// One connection to a server, which waits so many seconds for each answer, or less if the address says so.
#[pyclass(frozen, name = "Probe", module = "procession._core")]
#[derive(Debug)]
pub(crate) struct PyProbe {
    address: Address,
    probe: Mutex<Probe>,
}

#[pymethods]
impl PyProbe {
    #[new]
    fn new(py: Python<'_>, url: &str, timeout: f64) -> PyResult<Self> {
        let timeout = Duration::try_from_secs_f64(timeout)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        let address =
            Address::parse(url).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let timeout = timeout.min(address.timeout());
        let probe = py.detach(|| Probe::open(&address, timeout)).map_err(raise)?;
        Ok(Self { address, probe: Mutex::new(probe) })
    }

    /// The address without what is secret.
    fn __str__(&self) -> String {
        self.address.to_string()
    }

    #[getter]
    fn prefix(&self) -> &str {
        self.address.prefix()
    }

    #[getter]
    fn lease(&self) -> f64 {
        self.address.lease().as_secs_f64()
    }

    /// Sends one command. What comes back: None, int, bytes, list; (code, text) if it is refused.
    fn ask<'py>(&self, py: Python<'py>, words: Vec<Vec<u8>>) -> PyResult<Bound<'py, PyAny>> {
        let answer = py.detach(|| {
            let mut probe = self.probe.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            probe.ask(&words)
        });
        convert(py, answer.map_err(raise)?)
    }
}

fn convert(py: Python<'_>, answer: Answer) -> PyResult<Bound<'_, PyAny>> {
    Ok(match answer {
        Answer::Int(number) => number.into_pyobject(py)?.into_any(),
        Answer::Bytes(bytes) => PyBytes::new(py, &bytes).into_any(),
        Answer::Many(answers) => {
            let list = PyList::empty(py);
            for answer in answers {
                list.append(convert(py, answer)?)?;
            }
            list.into_any()
        }
        Answer::Refused { code, text } => (code, text).into_pyobject(py)?.into_any(),
        _ => py.None().into_bound(py),
    })
}

fn raise(error: ProbeError) -> PyErr {
    let text = error.to_string();
    match error {
        ProbeError::Denied(_) => PyPermissionError::new_err(text),
        _ => PyConnectionError::new_err(text),
    }
}
