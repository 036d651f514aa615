"""Android phones behind adb, on which edgekit's runner works."""
