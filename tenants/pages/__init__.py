"""A customer's pages for servers, people, settings and the audit log, and the door that all pages go through."""
