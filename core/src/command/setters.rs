//! setters
