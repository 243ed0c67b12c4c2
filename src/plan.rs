//! The plan: which cases of a suite will run, what they need, and which can't fit.
