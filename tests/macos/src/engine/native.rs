//! stub
/// frame
pub struct Frame;
