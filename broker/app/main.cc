#include "broker/app/commands.h"

int main(int argc, char** argv) { return broker::app::run_command_line(argc, argv); }
