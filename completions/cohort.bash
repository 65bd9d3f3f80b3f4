# Completion of `cohort` for bash. PROGRAM and its arguments are completed as files.
_cohort() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} only= i
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W 'run start ls status events why reload scale recycle restart kill stop doctor systemd import verify-reload --help --version' -- "$current")
    return
  fi
  case ${COMP_WORDS[1]} in
    status | events | why | reload | scale | recycle | restart | kill | stop)
      mapfile -t COMPREPLY < <(compgen -W "$(cohort ls 2>/dev/null | awk 'NR > 1 { print $1 }') --json --help" -- "$current")
      return
      ;;
    import)
      if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W '--output --force --env --help' -- "$current")
      elif [[ $previous != --env ]]; then
        compopt -o default # FILE, here and behind --output
      fi
      return
      ;;
    ls | doctor)
      mapfile -t COMPREPLY < <(compgen -W '--json --help' -- "$current")
      return
      ;;
  esac
  i=2
  if [[ ${COMP_WORDS[1]} == verify-reload ]]; then
    while ((i < COMP_CWORD)) && [[ ${COMP_WORDS[i]} != -- ]]; do ((i++)); done
    if ((i == COMP_CWORD)); then
      mapfile -t COMPREPLY < <(compgen -W "$(cohort ls 2>/dev/null | awk 'NR > 1 { print $1 }') --reloads --connections --path --url --expect --json --help --" -- "$current")
      return
    fi
    ((i++)) # what follows are words of `cohort run`
  elif [[ ${COMP_WORDS[1]} != run && ${COMP_WORDS[1]} != start && ${COMP_WORDS[1]} != systemd ]]; then
    return
  fi
  for ((; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -w | --workers | -b | --balance | --listen | --grace | --stop-signal | --ready-within | --prove | --name | --cwd | --env | --config | --only | --log | --admin | --min-ready | --lame-duck | --max-memory | --max-age) ((i++)) ;;
      --) ((i + 1 < COMP_CWORD)) && { compopt -o default; return; } ;;
      -*) ;;
      *) compopt -o default; return ;; # behind PROGRAM: its own arguments
    esac
  done
  case $previous in
    -w | --workers) mapfile -t COMPREPLY < <(compgen -W "auto $(seq -s ' ' 1 "$(nproc)")" -- "$current") ;;
    --listen | --admin | --config | --log) compopt -o default ;; # a port, an address, or a path
    --cwd) mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    -b | --balance) mapfile -t COMPREPLY < <(compgen -W 'auto adaptive hash sticky round-robin shared' -- "$current") ;;
    *)
      if [[ $current == -* && ($previous != -- || ${COMP_WORDS[1]} == verify-reload) ]]; then
        [[ ${COMP_WORDS[1]} == systemd ]] && only='--user-unit'
        [[ ${COMP_WORDS[1]} == start ]] && only='--log --no-wait'
        mapfile -t COMPREPLY < <(compgen -W "$only"' --workers --balance --listen --grace --stop-signal --ready-within --prove --max-memory --max-age --name --admin --min-ready --lame-duck --cwd --env --config --only --watch --no-preload --json --help --version --' -- "$current")
      else
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -fc -- "$current" | sort -u)
      fi
      ;;
  esac
}
complete -F _cohort cohort
