"""The one message-passing network."""
