"""From a bundle and devices to profiles, and from profiles to figures, verdicts and reports. Runs on the host."""
