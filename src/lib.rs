//! Turns machine code and data into executables.
