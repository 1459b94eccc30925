//! What a file is, read back from its bytes, whoever wrote it.

pub mod lint;
