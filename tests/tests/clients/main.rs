//! The clients against servers that misbehave by script.

mod asynchronous;
mod blocking;
mod both;
mod script;
