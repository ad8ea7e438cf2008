"""Apple Push Notification service: request, payload and provider token."""
