"""The artifact as others receive it: the reviewer's check, the release archive, the model card, the appendix."""
