"""python3 -m e2e.localkube up [NODES] | down | status | load FILE..."""

from e2e.localkube import cluster, layout
from tools.lib import ui


def status():
    if not cluster.is_running():
        ui.say("  not running; start it with ./dev up")
        return 1
    for unit in cluster.report():
        trouble = f"   restarted {unit['restarts']} times, last end: {unit['last_exit']}" if unit["restarts"] else ""
        ui.say(f"  {unit['name']:<26} {'running' if unit['pid'] else 'down':<8}{trouble}")
    ui.say(f"\n  KUBECONFIG={layout.kubeconfig()}")
    return 0


def main(arguments):
    match arguments:
        case ["up", *rest]:
            cluster.up(int(rest[0]) if rest else 3)
        case ["down"]:
            cluster.down()
        case ["status"]:
            return status()
        case ["load", *archives] if archives:
            ui.say(f"  {cluster.load_images(archives)} imports")
        case _:
            ui.say(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    ui.main(main)
