"""The pages: a file each, with PATH, TITLE, ICON, ORDER and `show(visitor)`; to add a page, add a file."""
