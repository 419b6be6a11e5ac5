//! What a script answers: an array, whose parts are checked before they are used.

use redis::Value;

use super::RemoteError;

/// An array of integers, bytes, nothing, and arrays of these.
#[derive(Debug)]
pub(crate) struct Reply {
    parts: Vec<Value>,
}

impl Reply {
    pub(crate) fn of(value: Value) -> Result<Reply, RemoteError> {
        match value {
            Value::Array(parts) => Ok(Reply { parts }),
            other => Err(RemoteError::Corrupt(format!("a script answered {}", shape(&other)))),
        }
    }

    /// How many parts there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    fn wrong<T>(&self, i: usize, wanted: &str) -> Result<T, RemoteError> {
        let is = self.parts.get(i).map_or("nothing", shape);
        Err(RemoteError::Corrupt(format!("part {i} of an answer is {is}, not {wanted}")))
    }

    /// A number, also one that came as digits.
    pub(crate) fn int(&self, i: usize) -> Result<i64, RemoteError> {
        match self.parts.get(i) {
            Some(Value::Int(number)) => Ok(*number),
            Some(Value::BulkString(digits)) => {
                let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
                number.map_or_else(|| self.wrong(i, "a number"), Ok)
            }
            _ => self.wrong(i, "a number"),
        }
    }

    /// Bytes, or nothing. They are taken out: asked again, they are nothing.
    pub(crate) fn bytes(&mut self, i: usize) -> Result<Option<Vec<u8>>, RemoteError> {
        match self.parts.get_mut(i) {
            Some(Value::BulkString(bytes)) => {
                let bytes = std::mem::take(bytes);
                self.parts[i] = Value::Nil;
                Ok(Some(bytes))
            }
            Some(Value::Nil) => Ok(None),
            Some(Value::Int(number)) => Ok(Some(number.to_string().into_bytes())),
            _ => self.wrong(i, "bytes"),
        }
    }

    /// Text, which is there.
    pub(crate) fn text(&mut self, i: usize) -> Result<String, RemoteError> {
        match self.bytes(i)?.map(String::from_utf8) {
            Some(Ok(text)) => Ok(text),
            _ => self.wrong(i, "text"),
        }
    }

    /// An array in the array. It is taken out.
    pub(crate) fn array(&mut self, i: usize) -> Result<Reply, RemoteError> {
        match self.parts.get_mut(i) {
            Some(Value::Array(parts)) => Ok(Reply { parts: std::mem::take(parts) }),
            _ => self.wrong(i, "an array"),
        }
    }

    /// All parts as arguments for another script, arrays flattened.
    pub(crate) fn into_arguments(self) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        flatten(self.parts, &mut found);
        found
    }
}

fn flatten(parts: Vec<Value>, found: &mut Vec<Vec<u8>>) {
    for part in parts {
        match part {
            Value::Int(number) => found.push(number.to_string().into_bytes()),
            Value::BulkString(bytes) => found.push(bytes),
            Value::Array(parts) => flatten(parts, found),
            _ => found.push(Vec::new()),
        }
    }
}

fn shape(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nothing",
        Value::Int(_) => "a number",
        Value::BulkString(_) => "bytes",
        Value::Array(_) => "an array",
        _ => "something else",
    }
}
