/* cmd.h: the subcommands of `cygnet`, one file each. argv[0] is the subcommand's own name. Returns: the exit status: 0, 1 when
 * what was asked for went wrong, 2 when it was asked for wrongly.
 */
#ifndef CYG_CMD_CMD_H
#define CYG_CMD_CMD_H

int cmd_gateway(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif
