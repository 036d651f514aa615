"""Bundles run and measured by ``edgekit-runner``, wherever it is: behind SSH or adb."""
