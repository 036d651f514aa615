# What an Android phone says of itself: `facts` what it is, `state` how hot, fast and busy it is now. See phone.py.

# Reads a file's first line without starting a program: phones have many cores, and some a slow shell. Short names would
# be aliases there: r is one of mksh.
line_of() { found=; [ -r "$1" ] && read -r found <"$1"; } 2>/dev/null
section() { printf '\n== %s\n' "$1"; }

# Of each core: number, highest frequency it has, highest it may have now, the one it has now (kHz), governor.
cores() {
  section cores
  for core in /sys/devices/system/cpu/cpu[0-9]*; do
    line=${core##*/cpu}
    for file in cpuinfo_max_freq scaling_max_freq scaling_cur_freq scaling_governor; do
      line_of "$core/cpufreq/$file"; line="$line|$found"
    done
    echo "$line"
  done
}

# facts FOLDER PROPERTIES TOOL...: the disk of FOLDER, properties by an expression for grep, which of the tools are missing.
facts() {
  section properties; getprop | grep -E "$2"
  section kernel_architecture; uname -m
  section cpuinfo; cat /proc/cpuinfo
  section meminfo; cat /proc/meminfo
  section page; grep -m 1 KernelPageSize /proc/self/smaps
  section disk; df -k "$1"
  shift 2
  section lacking; for tool do command -v "$tool" >/dev/null || echo "$tool"; done
  cores
}

# Load is that of the time between two looks, without that of looking: the services take most of it.
state() {
  section stat; line_of /proc/stat; echo "$found"
  section uptime; line_of /proc/uptime; echo "$found"
  section meminfo; cat /proc/meminfo
  cores
  section thermal; dumpsys thermalservice
  section battery; dumpsys battery
  section stat_after; line_of /proc/stat; echo "$found"
}
