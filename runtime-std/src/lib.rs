//! Ant-Cache on threads.
