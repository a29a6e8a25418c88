"""Files, threads, compiled code, progress bars and late imports: what every room stands on."""
