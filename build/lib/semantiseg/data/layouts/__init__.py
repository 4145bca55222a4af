"""How collections lie on disk: one module a layout, all of which give `collection_folder.Collection`."""
