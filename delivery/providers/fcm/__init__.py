"""Firebase Cloud Messaging, HTTP v1: request, payload and OAuth access token."""
