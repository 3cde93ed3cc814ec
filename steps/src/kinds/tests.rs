//! What steps cost in a catalog, and what they refuse to touch: in a world made up.

mod catalogs;
mod import;
mod world;
