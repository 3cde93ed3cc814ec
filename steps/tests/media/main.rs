//! The media driver: what it writes, GNU tar and zstd read; what is killed, damaged or hostile never becomes wrong data.

mod support;
mod trees;

mod basics;
mod tools;
