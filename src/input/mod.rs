//! How programs come in: each input reads what people or tools wrote and gives a
//! [`Program`](crate::Program).

pub mod spec;
