//! Keys of what serde can write: the order that `#[derive(PartialOrd, Ord)]` gives.

use std::fmt;

use serde::ser::{self, Serialize};

use super::OrderKey;

/// The key of a value.
///
/// Numbers, texts, bytes, options (`None` first), tuples, sequences, structs and enums are ordered as
/// `#[derive(Ord)]` orders them; floats as numbers. What serialises as its content is ordered as its
/// content: also [`std::cmp::Reverse`].
///
/// # Errors
/// A text that says why there is none: a `NaN`, or what the value's `Serialize` complains of.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), String> {
/// use procession::codec::order::order_key;
/// assert!(order_key(&(1, "b"))? < order_key(&(1.5, "a"))?);
/// assert!(order_key(&None::<i32>)? < order_key(&Some(-1))?);
/// assert!(order_key(&f64::NAN).is_err());
/// # Ok(()) }
/// ```
pub fn order_key<T: Serialize + ?Sized>(value: &T) -> Result<OrderKey, String> {
    let mut key = OrderKey::new();
    match value.serialize(Writer(&mut key)) {
        Ok(()) => Ok(key),
        Err(Refused(why)) => Err(why),
    }
}

#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: fmt::Display>(why: T) -> Refused {
        Refused(why.to_string())
    }
}

type Done = Result<(), Refused>;

/// Writes one item.
struct Writer<'a>(&'a mut OrderKey);

/// Writes the items of a row.
struct Row<'a>(&'a mut OrderKey);

impl Row<'_> {
    fn add<T: Serialize + ?Sized>(&mut self, item: &T) -> Done {
        item.serialize(Writer(self.0))
    }
    // As the traits have it.
    #[allow(clippy::unnecessary_wraps)]
    fn close(self) -> Done {
        self.0.end_row();
        Ok(())
    }
}

impl<'a> Writer<'a> {
    #[allow(clippy::unnecessary_wraps)]
    fn row(self) -> Result<Row<'a>, Refused> {
        self.0.begin_row();
        Ok(Row(self.0))
    }

    // As the trait has it; 128 bits are never too many.
    #[allow(clippy::unnecessary_wraps)]
    fn wide(self, negative: bool, amount: u128) -> Done {
        self.0.big(negative, &amount.to_be_bytes());
        Ok(())
    }
}

macro_rules! integers {
    ($($name:ident $type:ty => $write:ident),*) => {
        $(fn $name(self, n: $type) -> Done {
            self.0.$write(n.into());
            Ok(())
        })*
    };
}

impl<'a> ser::Serializer for Writer<'a> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Row<'a>;
    type SerializeTuple = Row<'a>;
    type SerializeTupleStruct = Row<'a>;
    type SerializeTupleVariant = Row<'a>;
    type SerializeMap = Row<'a>;
    type SerializeStruct = Row<'a>;
    type SerializeStructVariant = Row<'a>;

    integers!(
        serialize_bool bool => unsigned,
        serialize_i8 i8 => signed,
        serialize_i16 i16 => signed,
        serialize_i32 i32 => signed,
        serialize_i64 i64 => signed,
        serialize_u8 u8 => unsigned,
        serialize_u16 u16 => unsigned,
        serialize_u32 u32 => unsigned,
        serialize_u64 u64 => unsigned
    );

    fn serialize_i128(self, n: i128) -> Done {
        self.wide(n < 0, n.unsigned_abs())
    }
    fn serialize_u128(self, n: u128) -> Done {
        self.wide(false, n)
    }
    fn serialize_f32(self, x: f32) -> Done {
        self.serialize_f64(x.into())
    }
    fn serialize_f64(self, x: f64) -> Done {
        if self.0.float(x) { Ok(()) } else { Err(Refused("NaN has no order".into())) }
    }
    fn serialize_char(self, c: char) -> Done {
        self.serialize_str(c.encode_utf8(&mut [0; 4]))
    }
    fn serialize_str(self, text: &str) -> Done {
        self.0.text(text);
        Ok(())
    }
    fn serialize_bytes(self, bytes: &[u8]) -> Done {
        self.0.bytes(bytes);
        Ok(())
    }
    fn serialize_none(self) -> Done {
        self.0.absent();
        Ok(())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        self.0.present();
        value.serialize(self)
    }
    fn serialize_unit(self) -> Done {
        self.row()?.close()
    }
    fn serialize_unit_struct(self, _: &'static str) -> Done {
        self.serialize_unit()
    }
    fn serialize_unit_variant(self, _: &'static str, number: u32, _: &'static str) -> Done {
        self.0.variant(number);
        Ok(())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        number: u32,
        _: &'static str,
        value: &T,
    ) -> Done {
        self.0.variant(number);
        value.serialize(self)
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Row<'a>, Refused> {
        self.row()
    }
    fn serialize_tuple(self, _: usize) -> Result<Row<'a>, Refused> {
        self.row()
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Row<'a>, Refused> {
        self.row()
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        number: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Row<'a>, Refused> {
        self.0.variant(number);
        self.row()
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Row<'a>, Refused> {
        self.row()
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Row<'a>, Refused> {
        self.row()
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        number: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Row<'a>, Refused> {
        self.0.variant(number);
        self.row()
    }
    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! rows {
    ($($trait:ident: $($method:ident ($($name:ident)?)),+;)*) => {
        $(impl ser::$trait for Row<'_> {
            type Ok = ();
            type Error = Refused;
            $(fn $method<T: Serialize + ?Sized>(&mut self, $($name: &'static str,)? item: &T) -> Done {
                $(let _ = $name;)?
                self.add(item)
            })+
            fn end(self) -> Done {
                self.close()
            }
        })*
    };
}

rows! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeStruct: serialize_field(name);
    SerializeStructVariant: serialize_field(name);
    SerializeMap: serialize_key(), serialize_value();
}
