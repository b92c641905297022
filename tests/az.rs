//! Real `az` against our local ARM.
