"""A customer's pages for servers, people, settings and the audit log, and the authorization of all pages."""
