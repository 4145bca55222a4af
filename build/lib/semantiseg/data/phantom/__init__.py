"""The phantom cohort: drawn anatomy rendered as CT and MR, written in the upstream layouts of the collections."""
