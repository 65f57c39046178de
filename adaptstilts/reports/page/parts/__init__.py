"""Parts of a page that are read from a plan and its store; any producer of a page may use them."""
