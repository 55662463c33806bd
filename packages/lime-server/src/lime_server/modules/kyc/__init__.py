"""Know your customer: owners prove who they are."""
