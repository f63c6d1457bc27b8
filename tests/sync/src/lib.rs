//! Whole-pipeline tests; they are in `tests/`.
