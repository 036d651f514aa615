"""What all ways to a device share: what comes back from there is taken apart here, and only so much of it."""
