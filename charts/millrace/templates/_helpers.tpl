{{/* Name of everything that belongs to this release. */}}
{{- define "millrace.name" -}}
{{- if contains "millrace" .Release.Name }}{{ .Release.Name | trunc 45 | trimSuffix "-" }}{{ else }}{{ printf "%s-millrace" .Release.Name | trunc 45 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{/* What Deployments and NetworkPolicies select the operator by; never changes. */}}
{{- define "millrace.selector" -}}
app.kubernetes.io/name: millrace-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "millrace.labels" -}}
{{ include "millrace.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: millrace
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* registry/repository:tag or @digest; call with (list $ .Values.image). */}}
{{- define "millrace.image" -}}
{{- $root := index . 0 }}{{ $image := index . 1 -}}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default $root.Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "millrace.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "millrace.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* The flags that every sub-command of the operator shares. */}}
{{- define "millrace.scope" -}}
- --lease={{ include "millrace.name" . }}-operator
- --log-level={{ .Values.logLevel }}
{{- with .Values.watch.namespaces }}
- --namespaces={{ join "," . }}
{{- end }}
{{- end }}

{{- define "millrace.identity" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- end }}

{{/* A text of an alert with its numbers; call with (list $rule $text). */}}
{{- define "millrace.alertText" -}}
{{- $rule := index . 0 -}}
{{- index . 1 | replace "$threshold" (get $rule "threshold" | toString) | replace "$window" (get $rule "window" | toString) -}}
{{- end }}
