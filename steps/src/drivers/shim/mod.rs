//! External commands under a shim.
