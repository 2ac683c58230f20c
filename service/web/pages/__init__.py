"""The pages, a module for each noun; see `service.web` for what a page is."""
