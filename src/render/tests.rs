//! Every drawing is well formed and says what the plan says, and nothing in it lies on anything else.

mod plans;
mod shapes;
mod words;
